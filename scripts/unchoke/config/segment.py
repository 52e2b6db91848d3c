"""What is done with trained mask heads."""

from typing import Literal

from pydantic import Field

from unchoke.config.base import Section

Split = Literal["train", "val", "test"]


class Segment(Section):
    """Which masks are predicted for whole images, and how patches are put together."""

    head: Literal["light", "teacher"] = "light"
    """Who segments whole images: the mask heads, or the teacher, from what it has said of the patches. With the teacher
    no head is trained, and no encoder runs."""

    heads: list[str] | None = None
    """Light: mask heads that predict, by their names in this config; null: all."""

    splits: list[Split] = Field(["train", "val", "test"], min_length=2)
    """Splits whose images are segmented; val and test, of which the figures are, must be among them."""

    blend: Literal["auto", "crop", "gaussian"] = "auto"
    """`crop`: of every patch the part without its halo, right where the network sees no farther than the halo.
    `gaussian`: the mean of all patches, weighted by the distance from their centre. `auto`: crop where it is right."""

    pixels_per_job: int = Field(8_000_000, ge=0, le=2**32)
    """Images share jobs that stitch up to so many pixels, px; a larger image has a job for each band of its rows.
    0: no image shares a job."""

    probabilities: bool = False
    """Whether stitched probabilities are kept as well, float16."""
