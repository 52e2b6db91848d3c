"""How `snakemake profile` measures."""

from pydantic import Field

from unchoke.config.base import Section
from unchoke.names import LEAST_PROFILED

DAY_S = 86_400


class Profile(Section):
    """How `snakemake profile` measures; no result depends on it."""

    seconds: float = Field(120, gt=0, le=DAY_S)
    """About how long all encoders and networks together are measured, s; three rounds are made even if they take
    longer."""

    images: int = Field(256, ge=LEAST_PROFILED, le=65_536)
    """Images or patches that are drawn, at most."""
