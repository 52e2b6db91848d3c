"""Stage: how large caches of activations and pixels will be, and whether that is allowed, before the first chunk."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from unchoke.encoders.checks import find_cut, shaped_model
from unchoke.errors import UnchokeError

GB = 10**9


class Size(NamedTuple):
    """What a cache takes on disk, at most: it is compressed."""

    shape: tuple[int, ...]
    """Of an image."""
    dtype: str
    images: int
    views: int

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize * self.images * self.views

    def __str__(self) -> str:
        shape, views = " × ".join(map(str, self.shape)), f" × {self.views} views" if self.views > 1 else ""
        return f"{self.bytes / GB:,.3g} GB ({self.images:,} images{views} × {shape} {self.dtype})"


def plan_caches(requests: Mapping[str, Mapping[str, Any]], images: int) -> dict[str, Size]:
    """Size of every cache for so many images, by the name of its store; all are printed.

    requests: by name, as of ``config.caches.cache_requests``. UnchokeError where one is larger than allowed.
    """
    sizes = {name: size_of(request, images) for name, request in requests.items()}
    for name, size in sizes.items():
        print(f"cache {name}: {size}, less what compression saves", flush=True)
    for name, size in sizes.items():
        refuse_large(name, requests[name], size)
    return sizes


def size_of(request: Mapping[str, Any], images: int) -> Size:
    """Size of a cache of so many images; request: one of ``config.caches.cache_requests``.

    Shapes are those of a model without values, so that none is too large. UnchokeError where it has not this cut.
    """
    model, size, blocks = request["model"], request["image_size"], request["blocks"]
    side = 0 if blocks else size or shaped_model(model, None)[1]
    shape = find_cut(model, size, blocks).shape if blocks else (3, side, side)
    return Size(shape, request["dtype"], images, len(request["views"]))


def refuse_large(name: str, request: Mapping[str, Any], size: Size) -> None:
    """UnchokeError where a cache is larger than ``cache_gb`` of all networks that share it allows."""
    if request["limit_gb"] is None or size.bytes <= request["limit_gb"] * GB:
        return
    fewer = "fewer train_views or test_views, a smaller image_size of the encoder, fewer blocks, cache: none"
    networks = request["networks"]
    raise UnchokeError(
        f"The cache {name} would be larger than allowed.",
        found=str(size),
        expected=f"at most {request['limit_gb']:g} GB",
        where=f"networks.{networks[0]}.cache_gb" + (f", shared by {', '.join(networks[1:])}" if networks[1:] else ""),
        do=f"{fewer if request['blocks'] else 'a smaller image_size'}; or raise cache_gb, where the disk has room",
    )
