"""Stage: the mask of one large image, in memory for a few rows of patches whatever its height."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from numpy.typing import NDArray

from unchoke.api.predict import described_encoder, find_weights, stored_as
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.features.chunk import Picture, encode_pictures
from unchoke.files import write_atomic
from unchoke.images.grid import Grid
from unchoke.images.windows import Windows, open_image, read_patch
from unchoke.machine.devices import lease_device
from unchoke.machine.limits import VRAM_MB
from unchoke.mask_heads.head import MaskHead, predict, read_mask_checkpoint
from unchoke.names import MAX_PIXELS, PIXELS
from unchoke.stitching.bands import Band, whole_bands
from unchoke.stitching.stitch import band_file, choose_blend, padded_band
from unchoke.store.zarr_bytes import MemoryGroup, create_array, encode_chunk, write_metadata_last

_TOGETHER = 4  # patches that pass the head at once

Path_ = str | os.PathLike[str]
Look = Callable[[NDArray[np.uint8]], dict[str, NDArray[Any]]]


def segment(
    image: Path_,
    checkpoint: Path_ | MaskHead,
    weights: Path_ | None = None,
    device: str = "auto",
    *,
    output: Path_ | None = None,
    overlap: int | None = None,
    blend: str = "auto",
    vram_mb: float = VRAM_MB,
    threads: int = 8,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8] | zarr.Array:
    """The classes of an image's pixels, uint8 (H, W): places among ``head.classes``.

    image: path of the image; tiled TIFF is read by windows, anything else whole if it has at most max_pixels.
    weights: file of the encoder; None: looked for by its digest in ``names.WEIGHTS`` below the working directory.
    output: folder of a Zarr array to write the mask to and to give back, so that no more than two bands of it are ever
    in memory; None: an array in memory. overlap: of patches, px; None: the least with which the answer is that of the
    whole image, or a quarter of the patch where the network sees too far for that. blend: see ``segment.blend`` in
    config/README.md. A card is leased until this process ends, and no more than vram_mb of it is taken.
    Raises UnchokeError where image, head or weights cannot be had.
    """
    head = checkpoint if isinstance(checkpoint, MaskHead) else read_mask_checkpoint(Path(checkpoint))
    grid, bands = stitched(image, head, weights, device, overlap, blend, vram_mb, threads, max_pixels)
    labels = (band.labels() for band in bands)
    return np.concatenate(list(labels)) if output is None else _write(labels, grid, Path(output))


def stitched(
    image: Path_,
    head: MaskHead,
    weights: Path_ | None,
    device: str,
    overlap: int | None,
    blend: str,
    vram_mb: float,
    threads: int,
    max_pixels: int,
    *,
    keep_probabilities: bool = False,
) -> tuple[Grid, Iterator[Band]]:
    """How an image is cut, and its bands as they are made; arguments of ``segment``, whose errors it raises."""
    try:
        windows = open_image(Path(image), max_pixels)
    except UnreadableImageError as error:
        raise UnchokeError("The image cannot be read.", found=str(error), where=str(image)) from None
    shared = least_overlap(head) if overlap is None else overlap
    grid = Grid(windows.height, windows.width, head.patch_px, shared)
    chosen, _ = choose_blend(blend, head.radius_px, grid.halo)
    rows = _probabilities(windows, grid, head, _sight(head, weights, device, vram_mb), threads)
    return grid, whole_bands(rows, grid, len(head.classes), chosen, keep_probabilities=keep_probabilities)


def least_overlap(head: MaskHead) -> int:
    """The least overlap, px, whose halo holds all that the head sees; a quarter of the patch where there is none."""
    size, stride = head.patch_px, max(head.strides.values())
    if head.radius_px is not None:
        shared = 2 * stride * -(-head.radius_px // stride)
        if shared <= size // 2:
            return shared
    return size // 4


def _sight(head: MaskHead, weights: Path_ | None, device: str, vram_mb: float) -> tuple[Look, torch.device]:
    """From patches, uint8 (B, S, S, 3), to what the head sees of them; and the device that it is to run on."""
    on = lease_device(device, vram_mb)
    if head.encoder is None:
        return lambda patches: {PIXELS: patches.transpose(0, 3, 1, 2)}, on
    strides, micro_batch, stored = list(head.strides.values()), head.encoder["micro_batch"], stored_as(head.encoder)
    file = find_weights(head, weights)
    encoder = described_encoder(head.path, head.encoder, file, [], strides, on, vram_mb)

    def look(patches_BSS3: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        pictures = (Picture(torch.from_numpy(patch).permute(2, 0, 1)) for patch in patches_BSS3)
        together = min(micro_batch, len(patches_BSS3))
        return dict(encode_pictures(pictures, encoder, together, len(patches_BSS3), stored).arrays)

    return look, on


def _probabilities(
    windows: Windows, grid: Grid, head: MaskHead, sight: tuple[Look, torch.device], threads: int
) -> Iterator[list[NDArray[np.float32]]]:
    """For each row of patches the probabilities of all of them, (K, S, S) each."""
    look, device = sight
    modules, precision = [module.to(device) for module in head.modules], head.settings["precision"]
    with ThreadPoolExecutor(threads) as pool:
        for row in range(grid.rows):
            cut = [grid.patch(place) for place in grid.row(row)]
            patches = list(pool.map(lambda patch: read_patch(windows, patch.y0, patch.x0, grid.size), cut))
            found: list[NDArray[np.float32]] = []
            for start in range(0, len(patches), _TOGETHER):
                found += list(predict(modules, look(np.stack(patches[start : start + _TOGETHER])), precision))
            yield found


def _write(bands: Iterator[NDArray[np.uint8]], grid: Grid, store: Path) -> zarr.Array:
    """The bands as a Zarr array ``mask`` in the group `store`, which can be opened when all are there."""
    for number, band_HW in enumerate(bands):
        write_atomic(band_file(store, number), encode_chunk(padded_band(band_HW, grid.step)))
    group = MemoryGroup({})
    shape, chunk = (grid.height, grid.width), (grid.step, grid.width)
    create_array(group.root, "mask", shape, chunk, np.dtype(np.uint8), ("y", "x"))
    write_metadata_last(group.contents(), store)
    return zarr.open_group(store, mode="r")["mask"]  # type: ignore[return-value]
