"""A part of the data to train on."""

from typing import Literal

from pydantic import Field, model_validator

from unchoke.config.base import MAX_SEED, Section
from unchoke.names import MAX_ROWS

Split = Literal["train", "val", "test"]


class Subset(Section):
    """A part of the data to train on, drawn class by class; one of `fraction` and `per_class`."""

    fraction: float | None = Field(None, gt=0, le=1)
    """Share of each class that is kept, above 0 up to 1, and at least one image. Smaller shares lie within larger."""

    per_class: int | None = Field(None, ge=1, le=MAX_ROWS)
    """Images of each class that are kept; a class with fewer is an error."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of the draw; an image keeps its place in it when others are added."""

    splits: list[Split] = Field(["train"], min_length=1)
    """Splits that are thinned; of the others every image stays."""

    @model_validator(mode="after")
    def _has_one_size(self) -> "Subset":
        if (self.fraction is None) == (self.per_class is None):
            found = "neither" if self.fraction is None else "both"
            raise ValueError(f"give one of fraction and per_class, found {found}")
        return self
