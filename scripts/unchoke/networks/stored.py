"""Images of networks in sealed stores: activations at a cut, or pixels, by split, read within bounded memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.encoders.activations import read_shape
from unchoke.errors import UnchokeError
from unchoke.heads.rows import refuse_missing, usable_rows
from unchoke.names import ACTIVATIONS
from unchoke.store.read import FeatureStore


@dataclass(frozen=True)
class StoredImages:
    """The usable images of a split, N of them, in one store for each view."""

    stores: tuple[FeatureStore, ...]
    array: str
    image_id_N: NDArray[np.int64]
    label_N: NDArray[np.int64]
    """Places of the labels among the classes."""
    group_N: NDArray[np.object_]
    """The group of each image; empty for none."""

    @property
    def views(self) -> int:
        """How many views of each image there are."""
        return len(self.stores)

    @property
    def chunk_size(self) -> int:
        """Images that are decoded together."""
        return int(self.stores[0].seal["chunk_size"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image: an activation as the network has it, or (3, H, W)."""
        first = self.stores[0]
        return read_shape(first.seal["settings"]) if self.array == ACTIVATIONS else first.group[self.array].shape[1:]  # type: ignore[union-attr]

    def __len__(self) -> int:
        return len(self.image_id_N)

    def read(self, place_B: NDArray[np.int64], view_B: NDArray[np.int64] | None = None) -> NDArray[Any]:
        """Images at some places, each in one view, in the order of `place_B`: float16, float32 or uint8, (B, *shape).

        view_B: None for the first. Each chunk is decoded once a view.
        """
        if view_B is None:
            view_B = np.zeros(len(place_B), np.int64)
        found = np.empty((len(place_B), *self.shape), self.stores[0].group[self.array].dtype)  # type: ignore[union-attr]
        for view in np.unique(view_B):
            wanted = view_B == view
            values = self.stores[view].rows(self.array, self.image_id_N[place_B[wanted]])
            found[wanted] = values.reshape(-1, *self.shape)
        return found


def split_images(
    features: Mapping[str, FeatureStore], manifest: pd.DataFrame, settings: Mapping[str, Any]
) -> tuple[list[str], dict[str, StoredImages]]:
    """The classes in order, and the usable images of each split, as heads have them.

    features: the store of each view. settings: those of a network; train_views and test_views count.
    Raises UnchokeError where a view is missing, a split is empty, or has a class that train has not.
    """
    refuse_missing(sorted({*settings["train_views"], *settings["test_views"]}), features)
    classes, usable = usable_rows(features, manifest, settings.get("positive"))
    array = next(iter(next(iter(features.values())).seal["widths"]))
    found = {}
    for split, part in usable.items():
        views = settings["train_views" if split == "train" else "test_views"]
        found[split] = StoredImages(tuple(features[view] for view in views), array, *part)
    return classes, found


def refuse_other_cache(store: FeatureStore, expected: Mapping[str, Any]) -> None:
    """UnchokeError where a store was made otherwise than a network needs it.

    expected: settings that its seal must have: ``weights_sha256``, ``blocks``, ``boundary`` and ``shape`` of
    activations, ``transform`` of pixels.
    """
    settings = store.seal["settings"]
    if other := {key: settings.get(key) for key, value in expected.items() if settings.get(key) != value}:
        raise UnchokeError(
            "The cache is not one that this network can be trained on.",
            found=", ".join(f"{key} {value}" for key, value in other.items()),
            expected=", ".join(f"{key} {expected[key]}" for key in other),
            where=str(store.path),
            do=f"bring it up to date: snakemake --cores all {store.path / 'zarr.json'}",
        )
