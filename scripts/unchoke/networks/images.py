"""The images that a network reads, wherever they lie: cached activations or pixels, in one view or several."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unchoke.machine.memory import MB
from unchoke.networks.draws import uniforms

_BLOCK = 1024  # images that are read at once


class Images(Protocol):
    """The images of a split, N of them, in V views."""

    @property
    def image_id_N(self) -> NDArray[np.int64]:
        """Of each place; their random numbers depend on it."""

    @property
    def label_N(self) -> NDArray[np.int64]:
        """Place of each label among the classes."""

    @property
    def views(self) -> int:
        """How many views of each image there are."""

    def read(self, place_B: NDArray[np.int64], view_B: NDArray[np.int64]) -> NDArray[Any]:
        """Images at some places, each in one view, in the order of `place_B`: float16 or uint8, (B, …)."""


@dataclass(frozen=True)
class HeldImages:
    """Images in memory."""

    image_id_N: NDArray[np.int64]
    label_N: NDArray[np.int64]
    x_VN: NDArray[Any]
    """(V, N, …)."""

    @property
    def views(self) -> int:
        return len(self.x_VN)

    def read(self, place_B: NDArray[np.int64], view_B: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray(self.x_VN[view_B, place_B])


@dataclass(frozen=True)
class StreamedImages:
    """Images in one view that a loader reads ahead, in the order in which a training asks for them."""

    image_id_N: NDArray[np.int64]
    label_N: NDArray[np.int64]
    stream: Iterator[tuple[NDArray[np.int64], NDArray[Any]]]
    """Places of some images, and these (B, …); splits that take turns may share it."""

    @property
    def views(self) -> int:
        return 1

    def read(self, place_B: NDArray[np.int64], view_B: NDArray[np.int64]) -> NDArray[Any]:
        """The next of the stream; ValueError where it has other images."""
        found_B, x = next(self.stream)
        if not np.array_equal(found_B, place_B):
            raise ValueError("a loader reads images ahead in another order than the training asks for them")
        return x


BY_BATCH = (HeldImages, StreamedImages)
"""Images that a training asks for batch by batch."""


def hold(images: Images, budget_mb: float) -> Images:
    """The images in memory where all of them fit into the budget, MB, else as they are."""
    if isinstance(images, BY_BATCH):
        return images
    rows, first = len(images.image_id_N), np.zeros(1, np.int64)
    one = images.read(first, first)
    if images.views * rows * one.nbytes / MB > budget_mb:
        return images
    x_VN = np.empty((images.views, rows, *one.shape[1:]), one.dtype)
    for view in range(images.views):
        for start in range(0, rows, _BLOCK):
            place_B = np.arange(start, min(start + _BLOCK, rows))
            x_VN[view, place_B] = images.read(place_B, np.full(len(place_B), view))
    return HeldImages(images.image_id_N, images.label_N, x_VN)


def drawn_views(images: Images, seed: int, epoch: int, place_B: NDArray[np.int64]) -> NDArray[np.int64]:
    """The view of each image in an epoch, drawn by (seed, epoch, image_id)."""
    drawn_B1 = uniforms(seed, epoch, images.image_id_N[place_B], "view", 1)
    return np.minimum((drawn_B1[:, 0] * images.views).astype(np.int64), images.views - 1)
