"""The patches that mask heads read, by split: cached feature maps or pixels, with their labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.images.windows import open_image, read_patch
from unchoke.machine.suspects import in_flight
from unchoke.manifest.images import in_use
from unchoke.names import PIXELS
from unchoke.store import tables
from unchoke.store.chunks import MASK
from unchoke.store.read import FeatureStore


@dataclass(frozen=True)
class CachedPatches:
    """Patches whose feature maps lie in a sealed store, their labels in another."""

    features: FeatureStore
    labels: FeatureStore
    patch_id_N: NDArray[np.int64]
    targets: tuple[str, ...] = ()
    """Further arrays of the labels, uint8 (N, S, S), read as maps "labels.<name>" of one channel."""

    @property
    def channels(self) -> dict[str, int]:
        return dict(self.features.seal["widths"])

    @property
    def strides(self) -> dict[str, int]:
        size = self.labels.seal["settings"]["size"]
        return {name: size // self.features.group[name].shape[-1] for name in self.channels}  # type: ignore[union-attr]

    def __len__(self) -> int:
        return len(self.patch_id_N)

    def read(self, place_B: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
        ids = self.patch_id_N[place_B]
        maps = {name: self.features.rows(name, ids) for name in self.channels}
        return maps | _read_targets(self.labels, self.targets, ids), self.labels.rows(MASK, ids)


@dataclass(frozen=True)
class PixelPatches:
    """Patches read from the images themselves."""

    rows: pd.DataFrame
    """path, y0, x0 of each."""
    root: Path
    labels: FeatureStore
    patch_id_N: NDArray[np.int64]
    max_pixels: int
    targets: tuple[str, ...] = ()
    """As of ``CachedPatches``."""

    @property
    def channels(self) -> dict[str, int]:
        return {PIXELS: 3}

    @property
    def strides(self) -> dict[str, int]:
        return {PIXELS: 1}

    def __len__(self) -> int:
        return len(self.patch_id_N)

    def read(self, place_B: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
        size = self.labels.seal["settings"]["size"]
        pixels_B3SS = np.empty((len(place_B), 3, size, size), np.uint8)
        for number, (path, y0, x0) in enumerate(self.rows[["path", "y0", "x0"]].to_numpy()[place_B]):
            pixels_SS3 = read_patch(open_image(self.root / path, self.max_pixels), y0, x0, size)
            pixels_B3SS[number] = pixels_SS3.transpose(2, 0, 1)
        ids = self.patch_id_N[place_B]
        return {PIXELS: pixels_B3SS} | _read_targets(self.labels, self.targets, ids), self.labels.rows(MASK, ids)


def _read_targets(labels: FeatureStore, names: tuple[str, ...], ids: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    return {f"labels.{name}": labels.rows(name, ids)[:, None] for name in names}


def split_patches(
    features: FeatureStore | None,
    labels: FeatureStore,
    manifest: Path,
    root: Path,
    max_pixels: int,
    targets: tuple[str, ...] = (),
) -> dict[str, CachedPatches | PixelPatches]:
    """The patches of train and of val, of images that may be used and could be read throughout.

    features: a store of feature maps; None: pixels below `root`. manifest: of the images; patches.csv lies beside it.
    targets: further arrays of `labels` to read.
    Raises UnchokeError where a split has none.
    """
    bad = {entry["image_id"] for store in (features, labels) if store for entry in store.seal["invalid"]}
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    patches = tables.read_table(manifest.with_name("patches.csv"), tables.PATCH_COLUMNS)
    images = in_use(frame).loc[lambda frame: ~frame["image_id"].isin(bad), ["image_id", "path", "split"]]
    usable = in_use(patches).merge(images, on="image_id", validate="many_to_one")
    if features is None:
        usable = _readable(usable, root, labels.seal["settings"]["size"], max_pixels)
    found: dict[str, CachedPatches | PixelPatches] = {}
    for split in ("train", "val"):
        rows = usable[usable["split"] == split]
        ids = rows["patch_id"].to_numpy(np.int64)
        if not len(ids):
            raise UnchokeError(f"No image of the {split} split could be read with its mask.", where=str(labels.path))
        found[split] = (
            CachedPatches(features, labels, ids, targets)
            if features
            else PixelPatches(rows, root, labels, ids, max_pixels, targets)
        )
    return found


def _readable(rows: pd.DataFrame, root: Path, size: int, max_pixels: int) -> pd.DataFrame:
    """The patches of images that can be read throughout, which no encoder has found out; others are named."""
    bad: dict[str, str] = {}
    for path, y0, x0 in rows.loc[rows["split"] != "test", ["path", "y0", "x0"]].to_numpy():
        try:
            with in_flight(path):
                read_patch(open_image(root / path, max_pixels), y0, x0, size)
        except UnreadableImageError as error:
            bad[path] = str(error)
    for path, reason in bad.items():
        print(f"warning: {path} is left out: {reason}", flush=True)
    return rows[~rows["path"].isin(bad)]
