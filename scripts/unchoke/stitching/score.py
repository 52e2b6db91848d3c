"""Stage: the scores of a head's stitched masks on val and test."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.errors import UnchokeError, mend
from unchoke.files import write_atomic
from unchoke.images.grid import Grid
from unchoke.machine.receipts import read_json
from unchoke.manifest.images import in_use
from unchoke.metrics.distances import hd95, refuse_large
from unchoke.metrics.evaluation import Figure, known_or_none, plain_figures
from unchoke.metrics.iou import mean_over_images, summarise
from unchoke.signed import read_signed, signed_bytes
from unchoke.stitching.batch import MASKS
from unchoke.stitching.stitch import read_truth
from unchoke.store.zarr_bytes import open_group, read_facts

Id = TypeVar("Id", int, str)

_PIXELS = ("counts", "differ_px", "shared_px", "unread_px")


@dataclass(frozen=True)
class Truth:
    """Where the true masks are."""

    labels: Path
    """Store of ``cut_masks``."""
    grids: Path
    """What ``build_patches`` says of every image."""
    patches: dict[str, int]
    """size, overlap and per_chunk of the config."""


def score_masks(
    group: Path,
    stitched: Path,
    manifest: pd.DataFrame,
    truth: Truth | None = None,
) -> dict[str, Any]:
    """Counts of every image, and IoU, Dice and pixel accuracy of val and test with 95 % intervals.

    group: results of the mask head. stitched: folder with what ``finish_mask`` says of each image. Images that could
    not be read throughout have no say. truth: for HD95 of every class, the mean over the images where it is defined;
    None: without. Intervals come from resampling images, or the groups that they belong to.
    Raises UnchokeError where a split has no image.
    """
    facts = read_facts(group)
    known = in_use(manifest).set_index("image_id")
    found = {
        image: read_signed(file := stitched / f"{image}.json", "summary of a mask", mend(file))
        for image in sorted(_segmented(stitched))
        if image in known.index
    }
    images = {
        image: {"split": known.loc[image, "split"], **{name: entry[name] for name in _PIXELS}}
        for image, entry in sorted(found.items())
    }
    figures = {
        split: _figures_of(split, images, known["group"], stitched, truth, facts["classes"])
        for split in ("val", "test")
    }
    first = next(iter(found.values()))
    return {
        **{name: first[name] for name in ("blend", "exact", "halo_px")},
        "reach_px": facts["reach_px"],
        "classes": facts["classes"],
        "images": {str(image): entry for image, entry in images.items()},
        "figures": figures,
    }


def write_scores(scores: Path, result: dict[str, Any]) -> None:
    """Write the result of ``score_masks``, with what others add to it, for ``run_record.read_scores``."""
    write_atomic(scores, signed_bytes(result))


def _segmented(stitched: Path) -> set[int]:
    """Ids of the images with a mask. Batches name theirs: a folder may show late what another machine has written."""
    found = {int(file.stem) for file in stitched.glob("*.json")}
    for batch in stitched.glob("batches/*.json"):
        found.update(map(int, read_signed(batch, "list of a batch of masks")[MASKS]))
    return found


def whole_images(images: Mapping[Id, Mapping[str, Any]], split: str) -> list[Id]:
    """Images of a split that could be read throughout; images: entries of ``score_masks`` by id."""
    return [image for image, entry in images.items() if entry["split"] == split and not entry["unread_px"]]


def _figures_of(
    split: str,
    images: dict[int, dict[str, Any]],
    group_of: pd.Series,
    stitched: Path,
    truth: Truth | None,
    classes: list[str],
) -> dict[str, dict[str, float | None]]:
    """Figures of the images of a split that could be read throughout, by name."""
    whole = whole_images(images, split)
    if not whole:
        raise UnchokeError(
            f"No image of the {split} split could be read throughout.",
            where=str(stitched),
            do="mend the files that quarantine.csv lists, and run snakemake again",
        )
    groups = group_of.loc[whole].to_numpy(object)
    overlaps = summarise(np.array([images[image]["counts"] for image in whole]), groups)
    named = {
        f"{name}.{label}": figure
        for name, each in overlaps.per_class.items()
        for label, figure in zip(classes, each, strict=True)
    }
    if truth:
        named |= _measure(images, whole, stitched, truth, classes, groups)
    return plain_figures({**overlaps.figures, **named})


def _measure(
    images: dict[int, dict[str, Any]],
    whole: list[int],
    stitched: Path,
    truth: Truth,
    classes: list[str],
    groups: NDArray[np.object_],
) -> dict[str, Figure]:
    """HD95 of each class, px, over the images `whole`; each image's own go into its entry, None where undefined."""
    value_IK = np.array([_distances(image, stitched, truth, len(classes)) for image in whole])
    for image, value_K in zip(whole, value_IK.tolist(), strict=True):
        images[image]["hd95_px"] = dict(zip(classes, map(known_or_none, value_K), strict=True))
    each = zip(classes, value_IK.T, strict=True)
    return {f"hd95.{label}": mean_over_images(value_I, groups) for label, value_I in each}


def _distances(image: int, stitched: Path, truth: Truth, n_classes: int) -> NDArray[np.float64]:
    place, patches = read_json(truth.grids)[str(image)], truth.patches
    store = stitched / f"{image}.zarr"
    refuse_large(place["height"] * place["width"], str(store))
    predicted: Any = open_group(store)["mask"]
    grid = Grid(place["height"], place["width"], patches["size"], patches["overlap"])
    truth_HW = read_truth(truth.labels, grid, place["first"], patches["per_chunk"])
    return hd95(truth_HW, np.asarray(predicted[...]), n_classes, str(store))
