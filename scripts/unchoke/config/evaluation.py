"""How sure the figures of heads are."""

from pydantic import Field

from unchoke.config.base import MAX_SEED, Section


class Evaluation(Section):
    """How sure the figures are."""

    resamples: int = Field(1000, ge=100, le=100_000)
    """Bootstrap resamples of the test images (of their groups, where they have some) by which mask heads are compared;
    at most 100,000, beyond which the ends of an interval no longer move."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of the resamples."""
