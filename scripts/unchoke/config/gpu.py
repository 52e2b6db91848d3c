"""The device that encoders run on."""

from typing import Literal

from pydantic import Field

from unchoke.config.base import MAX_MEMORY_MB, Section
from unchoke.machine.limits import VRAM_MB


class Gpu(Section):
    """The device that encoders run on."""

    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """`auto`: cuda where there is one, else mps, else cpu."""

    vram_mb: int = Field(VRAM_MB, ge=256, le=MAX_MEMORY_MB)
    """Memory of the graphics card that a run may use, MiB."""
