"""Stage: what the stitched masks of a head are worth, on val and on test."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unchoke.errors import UnchokeError, mend
from unchoke.evaluation import plain_figures
from unchoke.files import write_atomic
from unchoke.manifest import in_use
from unchoke.overlaps import summarise
from unchoke.signed import read_signed, signed_bytes
from unchoke.zarr_files import read_facts

_PIXELS = ("counts", "differ_px", "shared_px", "unread_px")


def score_masks(group: Path, stitched: Path, manifest: pd.DataFrame, scores: Path) -> dict[str, Any]:
    """Write and return counts of every image, and IoU, Dice and pixel accuracy of val and test with 95 % intervals.

    group: results of the mask head. stitched: folder with what ``finish_mask`` says of each image. Images that could
    not be read throughout have no say. Intervals come from resampling images, or the groups that they belong to.
    Raises UnchokeError where a split has no image.
    """
    facts = read_facts(group)
    known = in_use(manifest).set_index("image_id")
    found = {
        int(file.stem): read_signed(file, "summary of a mask", mend(file))
        for file in stitched.glob("*.json")
        if int(file.stem) in known.index
    }
    images = {
        image: {"split": known.loc[image, "split"], **{name: entry[name] for name in _PIXELS}}
        for image, entry in sorted(found.items())
    }
    figures = {}
    for split in ("val", "test"):
        whole = [image for image, entry in images.items() if entry["split"] == split and not entry["unread_px"]]
        if not whole:
            raise UnchokeError(
                f"No image of the {split} split could be read throughout.",
                where=str(stitched),
                do="mend the files that quarantine.csv lists, and run snakemake again",
            )
        groups = known.loc[whole, "group"].to_numpy(object)
        overlaps = summarise(np.array([images[image]["counts"] for image in whole]), groups)
        named = {
            f"{name}.{label}": figure
            for name, each in overlaps.per_class.items()
            for label, figure in zip(facts["classes"], each, strict=True)
        }
        figures[split] = plain_figures({**overlaps.figures, **named})
    first = next(iter(found.values()))
    result = {
        **{name: first[name] for name in ("blend", "exact", "halo_px")},
        "reach_px": facts["reach_px"],
        "classes": facts["classes"],
        "images": {str(image): entry for image, entry in images.items()},
        "figures": figures,
    }
    write_atomic(scores, signed_bytes(result))
    return result
