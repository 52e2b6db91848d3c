"""The heads that are tried on cached features; one class a kind, named as its module in ``unchoke/heads/kinds/``."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from unchoke.config.base import MAX_SEED, MAX_STEPS, Section
from unchoke.config.encoders import Pool
from unchoke.config.evaluation import METRICS_OF, Metric
from unchoke.config.presets import expand_preset
from unchoke.config.views import View
from unchoke.names import CLASSIFICATION, DRAWN, MAX_ROWS

if TYPE_CHECKING:
    from unchoke.config.model import Config

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
ClassWeights = Literal["none", "balanced"]


class HeadSection(Section):
    """What every kind of head has."""

    pool: Pool = "avg"
    """The pooling whose features the head reads; its encoders must store it."""

    encoders: list[str] | None = Field(None, min_length=1)
    """The encoders that the head is tried on, by their names in this config; null: all."""

    train_views: list[View] = Field(["identity"], min_length=1)
    """Views of every image to train on; its encoders must store them."""

    test_views: list[View] = Field(["identity"], min_length=1)
    """Views of every image whose probabilities are averaged on val and test; its encoders must store them."""

    choose_by: Metric | None = None
    """The figure on val by which one of the settings tried is chosen; null: `evaluation.metric`."""

    shots: int | None = Field(None, ge=1, le=MAX_ROWS)
    """Few-shot: training images of each class, drawn from train alone; null: all of them."""

    draws: int = Field(1, ge=1, le=1000)
    """Few-shot: how many times they are drawn; figures are then means over the draws."""

    @model_validator(mode="after")
    def _draws_need_shots(self) -> "HeadSection":
        if self.draws > 1 and self.shots is None:
            raise ValueError("draws has no meaning without shots: give shots, the images of each class to draw")
        return self


class Logistic(HeadSection):
    """Multinomial logistic regression, L-BFGS along a path of C, chosen on validation."""

    kind: Literal["logistic"]
    """Multinomial logistic regression."""

    c: list[Positive] = Field([1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0], min_length=1)
    """Inverse strengths of the L2 penalty to try, as in scikit-learn's LogisticRegression."""

    standardize: bool = True
    """Bring every feature to mean 0 and deviation 1 on train first."""

    class_weights: ClassWeights = "none"
    """`balanced`: every class weighs the same in the loss, however many images it has."""

    refit: bool = False
    """Fit anew on train and val together with the C that was chosen."""

    max_iterations: int = Field(5000, ge=1, le=MAX_STEPS)
    """L-BFGS iterations for one value of C, at most. Where they do not suffice, the head carries a warning."""

    tolerance: float = Field(1e-5, gt=0)
    """L-BFGS stops when no entry of the gradient of the mean loss is larger than this share of the loss."""

    precision: Literal["float32", "float64"] = "float32"
    """Arithmetic of the products. With float32 the last iterations are in float64 where the tolerance needs it."""

    @model_validator(mode="after")
    def _shots_are_not_refitted(self) -> "Logistic":
        if self.refit and self.shots is not None:
            raise ValueError("refit would train on all of val, not on shots of each class: set refit to false")
        return self


class Knn(HeadSection):
    """Weighted vote of the k nearest neighbours by cosine, k chosen on validation."""

    kind: Literal["knn"]
    """k nearest neighbours."""

    k: list[Annotated[int, Field(ge=1, le=MAX_ROWS)]] = Field([10, 20, 100, 200], min_length=1)
    """Numbers of neighbours to try; each at most the number of training images."""

    temperature: float = Field(0.07, gt=0)
    """A neighbour of cosine s votes with weight exp(s / temperature)."""


class Centroid(HeadSection):
    """Nearest class centroid, the distance chosen on validation."""

    kind: Literal["centroid"]
    """Nearest class centroid."""

    distance: list[Literal["cosine", "euclidean"]] = Field(["cosine", "euclidean"], min_length=1)
    """Distances to try."""

    standardize: bool = True
    """Bring every feature to mean 0 and deviation 1 on train first."""

    temperature: float = Field(0.07, gt=0)
    """Distances are divided by it before the softmax that gives probabilities."""


class Ridge(HeadSection):
    """Least squares on the classes' indicators in closed form, the penalty chosen on validation."""

    kind: Literal["ridge"]
    """Ridge regression on indicators of the classes."""

    penalty: list[Positive] = Field([1e-2, 1e-1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5], min_length=1)
    """Strengths of the L2 penalty to try, alpha in scikit-learn's Ridge."""

    standardize: bool = True
    """Bring every feature to mean 0 and deviation 1 on train first."""

    class_weights: ClassWeights = "none"
    """`balanced`: every class weighs the same in the loss, however many images it has."""


class Descent(Section):
    """What every training by gradient steps has: one member for each rate, decay and seed."""

    optimizer: Literal["sgd", "adamw"] = "adamw"
    """SGD with momentum, or AdamW (decay apart from the gradient)."""

    learning_rates: list[Positive] = Field([1e-4, 3e-4, 1e-3, 3e-3, 1e-2], min_length=1)
    """Learning rates to try."""

    weight_decays: list[NotNegative] = Field([0.0], min_length=1)
    """Weight decays to try with every learning rate."""

    seeds: list[Annotated[int, Field(ge=0, le=MAX_SEED)]] = Field([0, 1, 2], min_length=1)
    """Seeds of first weights and of the order of images; figures are means over them."""

    epochs: int = Field(20, ge=1, le=MAX_STEPS)
    """Times that the training images are gone through."""

    batch_size: int = Field(256, ge=1, le=MAX_ROWS)
    """Images a step."""

    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate over time: to 0 along half a cosine, or constant."""

    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD; the first of AdamW's two decay rates."""

    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of the target that is spread evenly over the classes."""

    class_weights: ClassWeights = "none"
    """`balanced`: every class weighs the same in the loss, however many images it has."""

    keep: Literal["last", "best"] = "last"
    """Weights at the last score on val, or at the best one."""


class GradientSection(Descent, HeadSection):
    """What heads that are trained by gradient steps have in common."""

    steps: int | None = Field(None, ge=1, le=MAX_STEPS)
    """Steps after which training ends, in place of `epochs`; null: epochs count."""

    validate_every: int | None = Field(None, ge=1, le=MAX_STEPS)
    """Steps from one score on val to the next; null: one pass over the training images."""

    patience: int | None = Field(None, ge=1, le=MAX_STEPS)
    """Steps without a better score on val after which the training of a member ends; null: it never ends early."""

    standardize: bool = True
    """Bring every feature to mean 0 and deviation 1 on train first."""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the products (autocast); bfloat16 helps where the processor or card multiplies it faster."""


class Linear(GradientSection):
    """One linear layer; all learning rates, weight decays and seeds trained at once as one batched product."""

    kind: Literal["linear"]
    """Linear probe by gradient steps."""


class Mlp(GradientSection):
    """One hidden layer with ReLU; all learning rates, weight decays and seeds trained at once."""

    kind: Literal["mlp"]
    """Small perceptron by gradient steps."""

    hidden: int = Field(256, ge=1, le=65_536)
    """Units of the hidden layer."""


TARGET_HEADS: dict[str, dict[str, object]] = {
    "ridge": {"kind": "ridge"},
    "linear": {"kind": "linear"},
    "mlp": {"kind": "mlp"},
    "neighbours": {"kind": "knn", "k": [10, 20, 100]},
}
"""The heads by default on numbers and on several labels, one of each kind that predicts these."""
_TARGET_KINDS = [str(head["kind"]) for head in TARGET_HEADS.values()]


def why_unfit(head: HeadSection, target: str) -> str:
    """What of a head has no meaning for numbers, or for several labels; empty where all has."""
    kind = getattr(head, "kind", "")
    if kind not in _TARGET_KINDS:
        return f": the kind {kind} predicts classes: take one of {', '.join(_TARGET_KINDS)}"
    if head.shots is not None:
        return ".shots: are images of each class: leave it out"
    if getattr(head, "class_weights", "none") != "none":
        return ".class_weights: there are no classes: leave it out"
    if getattr(head, "label_smoothing", 0):
        return ".label_smoothing: is spread over classes: leave it out"
    if head.choose_by is not None and head.choose_by not in METRICS_OF[target]:
        return f".choose_by: {head.choose_by} is no figure of this target: take one of {', '.join(METRICS_OF[target])}"
    return ""


Kind = Annotated[Logistic | Knn | Centroid | Ridge | Linear | Mlp, Field(discriminator="kind")]
Head = Annotated[Kind, BeforeValidator(expand_preset)]


def check_target(config: "Config") -> None:
    """ValueError where a figure, a head or a section does not fit ``dataset.target``."""
    target, metrics = config.dataset.target, METRICS_OF[config.dataset.target]
    if config.evaluation.metric not in metrics:
        raise ValueError(
            f"evaluation.metric: {config.evaluation.metric} is no figure of dataset.target {target}: take one of "
            f"{', '.join(metrics)}"
        )
    if target == CLASSIFICATION:
        for name, one in {**config.heads, **config.networks}.items():
            if one.choose_by not in (None, *metrics):
                raise ValueError(f"choose_by {one.choose_by} of {name}: take one of {', '.join(metrics)}")
        return
    rules = config.cleaning.features.rules if config.cleaning and config.cleaning.features else None
    for_classes = {
        "networks": config.networks,
        "subset: is drawn class by class": config.subset and config.subset.how in DRAWN,
        "dataset.split.repeats": config.dataset.split.repeats > 1,
        "evaluation.positive": config.evaluation.positive,
        "cleaning.features.rules.mislabelled": rules and rules.mislabelled,
    }
    if wrong := [name for name, there in for_classes.items() if there]:
        raise ValueError(f"{wrong[0]}: is for classes, and dataset.target is {target}: leave it out, or set it to null")
    for name, head in config.heads.items():
        if why := why_unfit(head, target):
            raise ValueError(f"heads.{name}{why} (dataset.target is {target})")
