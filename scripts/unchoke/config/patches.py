"""How large images are cut into patches."""

from pydantic import Field, model_validator

from unchoke.config.base import Section


class Patches(Section):
    """How large images are cut into patches."""

    size: int = Field(256, ge=32, le=4096)
    """Height and width of a patch, px."""

    overlap: int = Field(64, ge=0, le=2048)
    """What neighbours share, px: even, and at most half of `size`. Half of it is the halo, which is cut off again where
    a network sees no farther."""

    per_chunk: int = Field(16, ge=1, le=65_536)
    """Patches per chunk: one job, and one file a stride."""

    @model_validator(mode="after")
    def _overlap_fits(self) -> "Patches":
        if self.overlap % 2 or self.overlap > self.size // 2:
            raise ValueError(f"overlap {self.overlap} must be even and at most half of size {self.size}")
        return self
