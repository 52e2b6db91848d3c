"""Stage: a head against the best one, on the test images that both predicted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from numpy.typing import NDArray

from unchoke.evaluation import Bootstrap, Comparison, compare


@dataclass(frozen=True)
class Answers:
    """What a head got right on test."""

    image_id_N: NDArray[np.int64]
    right_RN: NDArray[np.bool_]
    """Of each replicate."""


def read_answers(group: Path) -> Answers:
    """The answers in a group of results."""
    arrays = zarr.open_group(group, mode="r")
    right_RN = np.asarray(arrays["test_logits"]).argmax(-1) == np.asarray(arrays["test_label"])
    return Answers(np.asarray(arrays["test_image_id"]), right_RN)


def compare_answers(one: Answers, best: Answers, groups: pd.Series, bootstrap: Bootstrap) -> Comparison | None:
    """The first head against the best, by image; None where no image is in both, as with a head of other splits.

    groups: what each image belongs to, by image_id.
    """
    images, place_one, place_best = np.intersect1d(one.image_id_N, best.image_id_N, return_indices=True)
    if not len(images):
        return None
    group_N = groups.reindex(images.tolist()).to_numpy(object)
    return compare(one.right_RN[:, place_one], best.right_RN[:, place_best], group_N, bootstrap)
