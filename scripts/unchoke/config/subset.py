"""A part of the data: to train on, or to label next."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from unchoke.config.base import MAX_SEED, Section
from unchoke.config.encoders import Pool
from unchoke.names import CLASSIFICATION, DRAWN, LISTED, MAX_ROWS, UNLABELLED, suggestion

Split = Literal["train", "val", "test"]
_ONLY_FOR = {"encoder": ("diverse", "typical", "uncertain"), "pool": ("diverse", "typical"), "k": ("typical",)}


class Subset(Section):
    """A part of the data to train on, drawn class by class (`fraction`, `per_class`), or a list of images to label
    (`diverse`, `typical`, `uncertain`), which changes no training; one of the five."""

    fraction: float | None = Field(None, gt=0, le=1)
    """Share of each class that is kept, above 0 up to 1, and at least one image. Smaller shares lie within larger."""

    per_class: int | None = Field(None, ge=1, le=MAX_ROWS)
    """Images of each class that are kept; a class with fewer is an error."""

    diverse: int | None = Field(None, ge=1, le=MAX_ROWS)
    """Images to list, each the farthest by its features from those before it and from the images of train."""

    typical: int | None = Field(None, ge=1, le=MAX_ROWS)
    """Images to list from the densest places of the features, none of them a near neighbour of another one listed."""

    uncertain: int | None = Field(None, ge=1, le=MAX_ROWS)
    """Images to list for which the two likeliest classes of a head are closest."""

    head: str | None = None
    """uncertain: the head, by its name in `heads`."""

    encoder: str | None = None
    """diverse, typical, uncertain: the encoder, by its name in `encoders`, whose first view is read; null: the first
    one, of those that the head is tried on."""

    pool: Pool | None = None
    """diverse, typical: the pooling whose features are read; null: the first one that the encoder stores."""

    k: int = Field(20, ge=1, le=1000)
    """typical: a place is dense where the `k` nearest neighbours are near."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of the draw, and of the order of equals; an image keeps its place in it when others are added."""

    splits: list[Literal["train", "val", "test", "unlabelled"]] | None = Field(None, min_length=1)
    """fraction, per_class: splits that are thinned; of the others every image stays. diverse, typical, uncertain:
    splits from which images are listed, `unlabelled` for those without a label. null: `[train]`, or
    `[unlabelled]`."""

    @model_validator(mode="after")
    def _has_one_size(self) -> "Subset":
        given = [name for name in (*DRAWN, *LISTED) if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join((*DRAWN, *LISTED))}, found {' and '.join(given) or 'none'}")
        if (self.head is None) == (self.uncertain is not None):
            raise ValueError("uncertain needs a head: head: logistic" if self.uncertain else "head is for uncertain")
        for name, kinds in _ONLY_FOR.items():
            if name in self.model_fields_set and getattr(self, name) is not None and given[0] not in kinds:
                raise ValueError(f"{name} is for {', '.join(kinds)}, not for {given[0]}")
        if given[0] in DRAWN and UNLABELLED in (self.splits or []):
            raise ValueError(f"splits: heads are not trained on images without a label, which {given[0]} would draw")
        return self

    @property
    def how(self) -> str:
        """The size that is given."""
        return next(name for name in (*DRAWN, *LISTED) if getattr(self, name) is not None)


def check_listing(subset: Subset, encoders: Mapping[str, Any], heads: Mapping[str, Any], target: str) -> None:
    """ValueError where the list of images to label is by a head, encoder or pool that the config does not have.

    target: what heads predict; those that predict no classes have no margin.
    """
    if subset.how in DRAWN:
        return
    if subset.uncertain is not None and target != CLASSIFICATION:
        raise ValueError(f"subset.uncertain: is for classes, and dataset.target is {target}: list diverse or typical")
    if subset.head is not None and subset.head not in heads:
        near = suggestion(subset.head, heads) if heads else "there are no heads"
        raise ValueError(f"subset.head: no head '{subset.head}': {near}")
    tried = (heads[subset.head].encoders or list(encoders)) if subset.head else list(encoders)
    if subset.encoder is not None and subset.encoder not in tried:
        on = f" that heads.{subset.head} is tried on" if subset.head else ""
        raise ValueError(f"subset.encoder: no encoder '{subset.encoder}'{on}: {suggestion(subset.encoder, tried)}")
    if subset.pool is not None and subset.pool not in (pools := encoders[subset.encoder or tried[0]].pools):
        raise ValueError(
            f"subset.pool: encoders.{subset.encoder or tried[0]}.pools has only {pools}: add '{subset.pool}' there"
        )
