"""How sure the figures of heads are."""

from pydantic import Field

from unchoke.config.base import Section


class Evaluation(Section):
    """How sure the figures are."""

    resamples: int = Field(1000, ge=100)
    """Bootstrap resamples of the test images (of their groups, where they have some) for 95 % intervals."""

    seed: int = Field(0, ge=0)
    """Seed of the resamples."""
