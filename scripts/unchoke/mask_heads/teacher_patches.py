"""Training patches with the teacher's targets, from labelled and unlabelled images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.manifest.images import in_use
from unchoke.mask_heads.distil import FEATURES, LOGITS
from unchoke.mask_heads.patches import CachedPatches, PixelPatches
from unchoke.names import NO_MASK, NO_WORDS
from unchoke.store import tables
from unchoke.store.read import FeatureStore

ARRAYS = {LOGITS: "logits", FEATURES: "features"}
"""Arrays of the teacher's store, by the names of the targets in training."""


@dataclass(frozen=True)
class TeacherPatches:
    """Patches with the teacher's targets as further maps."""

    patches: CachedPatches | PixelPatches
    teacher: FeatureStore
    names: Sequence[str]
    """Those of ``ARRAYS`` that are read."""

    @property
    def channels(self) -> dict[str, int]:
        return self.patches.channels

    @property
    def strides(self) -> dict[str, int]:
        return self.patches.strides

    def __len__(self) -> int:
        return len(self.patches)

    def read(self, place_B: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
        maps, label = self.patches.read(place_B)
        ids = self.patches.patch_id_N[place_B]
        return maps | {name: self.teacher.rows(ARRAYS[name], ids) for name in self.names}, label


def teacher_patches(
    train: CachedPatches | PixelPatches,
    features: FeatureStore | None,
    teacher: FeatureStore,
    distil: dict[str, Any],
    manifest: Path,
) -> TeacherPatches:
    """Patches of `train` and of images without a mask or words that both encoder and teacher could read.

    train: as ``split_patches`` gives them. distil: of the settings of a head. Labels of images without a mask or words
    are IGNORED. Raises UnchokeError where none is left.
    """
    bad = {entry["image_id"] for store in (features, teacher) if store for entry in store.seal["invalid"]}
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    patches = in_use(tables.read_table(manifest.with_name("patches.csv"), tables.PATCH_COLUMNS))
    rows = patches.merge(frame[["image_id", "path"]], on="image_id", validate="many_to_one")
    seen = rows["patch_id"].isin(train.patch_id_N) | rows["image_id"].isin(unmasked_images(frame))
    rows = rows[seen & ~rows["image_id"].isin(bad)]
    if not len(rows):
        raise UnchokeError("The teacher could read no image of the train split.", where=str(teacher.path))
    ids = rows["patch_id"].to_numpy(np.int64)
    chosen = (
        replace(train, rows=rows, patch_id_N=ids) if isinstance(train, PixelPatches) else replace(train, patch_id_N=ids)
    )
    wanted = {LOGITS: distil["logits"], FEATURES: distil["features"]}
    return TeacherPatches(chosen, teacher, [name for name, epochs in wanted.items() if epochs])


def unmasked_images(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Ids of the images without a mask or words, except where they or their group belong to val or test."""
    held_out = frame["split"].isin(["val", "test"])
    groups = set(frame.loc[held_out, "group"]) - {""}
    rows = frame[frame["excluded"].isin([NO_MASK, NO_WORDS]) & ~held_out & ~frame["group"].isin(groups)]
    return rows["image_id"].to_numpy(np.int64)
