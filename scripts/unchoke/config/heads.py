"""The heads that are tried on cached features; one class a kind, named as its module in ``unchoke/heads/``."""

from typing import Annotated, Literal

from pydantic import Field

from unchoke.config.base import Section
from unchoke.config.encoders import Pool

Positive = Annotated[float, Field(gt=0)]


class HeadSection(Section):
    """What every kind of head has."""

    pool: Pool = "avg"
    """The pooling whose features the head reads; its encoders must store it."""

    encoders: list[str] | None = Field(None, min_length=1)
    """The encoders that the head is tried on, by their names in this config; null: all."""


class Logistic(HeadSection):
    """Multinomial logistic regression, L-BFGS along a path of C, chosen on validation."""

    kind: Literal["logistic"]
    """Multinomial logistic regression."""

    c: list[Positive] = Field([1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0], min_length=1)
    """Inverse strengths of the L2 penalty to try, as in scikit-learn's LogisticRegression."""

    standardize: bool = True
    """Bring every feature to mean 0 and deviation 1 on train first."""

    max_iterations: int = Field(1000, ge=1)
    """L-BFGS iterations for one value of C, at most."""

    tolerance: float = Field(1e-4, gt=0)
    """L-BFGS stops when no entry of the gradient of the mean loss is larger."""


class Knn(HeadSection):
    """Weighted vote of the k nearest neighbours by cosine, k chosen on validation."""

    kind: Literal["knn"]
    """k nearest neighbours."""

    k: list[Annotated[int, Field(ge=1)]] = Field([10, 20, 100, 200], min_length=1)
    """Numbers of neighbours to try; each at most the number of training images."""

    temperature: float = Field(0.07, gt=0)
    """A neighbour of cosine s votes with weight exp(s / temperature)."""


Head = Annotated[Logistic | Knn, Field(discriminator="kind")]
