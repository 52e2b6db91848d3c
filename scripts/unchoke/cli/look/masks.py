"""Images with masks: which classes the masks' numbers stand for."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from unchoke.cli.look.found import Found
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.names import IGNORED, MAX_PIXELS
from unchoke.sources.kinds.masks import list_masks

_LOOKED_AT = 200  # masks, evenly over all
_ROWS = 1024  # of a mask at once
_MOST_CLASSES = 64  # more are the grey values of a photograph, or of a mask that was stored as JPEG


def look_at(path: Path) -> Found:
    """The source in a folder with images/ and masks/."""
    return with_classes(Found({"kind": "masks", "path": str(path)}, "images with masks"), path)


def with_classes(found: Found, path: Path) -> Found:
    """`found` with the classes of its masks. UnchokeError where there are no two classes, or far too many."""
    masks = [mask.path for mask in list_masks(path).values()]
    looked = masks[:: max(1, -(-len(masks) // _LOOKED_AT))]
    values = set().union(*_values(path if path.is_dir() else path.parent, looked))
    if not 2 <= len(values) <= _MOST_CLASSES:
        raise _unfit(values, len(looked), path)
    classes, ignored = classes_of(values)
    settings = {"classes": classes, **({"ignore": ignored} if ignored is not None else {})}
    notes = [f"Classes are the numbers in {len(looked):,} of {len(masks):,} masks: give them their names."]
    if ignored is not None:
        notes.append(f"The number {ignored} counts as not annotated (ignore); make it a class if it is one.")
    return replace(found, dataset={**found.dataset, **settings}, notes=[*found.notes, *notes])


def _values(root: Path, masks: list[str]) -> Iterator[set[int]]:
    """The numbers in each mask that can be read."""
    import numpy as np

    from unchoke.images.windows import open_mask

    for mask in masks:
        values: set[int] = set()
        try:
            windows = open_mask(root / mask, MAX_PIXELS)
            for top in range(0, windows.height, _ROWS):
                rows = windows.read(top, 0, min(_ROWS, windows.height - top), windows.width)
                values.update(np.unique(rows).tolist())
        except UnreadableImageError:
            continue  # which the quarantine will say
        yield values


def classes_of(values: Collection[int]) -> tuple[dict[str, Any], int | None]:
    """Names for the numbers in masks, colours as ``#rrggbb``, and the number that stands for no annotation.

    255 beside three or more numbers that count from 0 is that of Pascal VOC for pixels without an annotation.
    """
    numbers = sorted(values)
    if numbers[-1] > IGNORED:
        return {("background" if not value else f"colour_{value:06x}"): f"#{value:06x}" for value in numbers}, None
    others = [value for value in numbers if value != IGNORED]
    ignored = IGNORED if len(others) < len(numbers) and others == list(range(len(others))) and others[1:] else None
    kept = numbers if ignored is None else others
    if len(kept) == 2:
        first = "background" if kept[0] == 0 else f"class_{kept[0]}"
        return {first: kept[0], "foreground" if kept[0] == 0 else f"class_{kept[1]}": kept[1]}, ignored
    return {("background" if not value else f"class_{value}"): value for value in kept}, ignored


def _unfit(values: Collection[int], looked: int, path: Path) -> UnchokeError:
    few, first = len(values) < 2, ", ".join(map(str, sorted(values)[:8]))
    return UnchokeError(
        "The masks have too few classes." if few else "The masks have too many numbers to be classes.",
        found=f"{len(values):,} numbers in {looked:,} masks: {first}{', …' if len(values) > 8 else ''}",
        expected=f"2 to {_MOST_CLASSES} numbers or colours, one a class",
        where=str(path.absolute()),
        do="mark the pixels of a second class" if few else "store masks as PNG or TIFF: JPEG blurs their numbers",
    )
