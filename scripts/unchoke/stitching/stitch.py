"""Stage: masks of whole images, stitched from predicted patches, one band of rows at a time."""

import argparse
import functools
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.files import write_atomic
from unchoke.hashing import sha256_bytes
from unchoke.images.grid import Grid
from unchoke.images.png import palette_png
from unchoke.machine.commands import true_or_false
from unchoke.machine.receipts import read_json
from unchoke.metrics.iou import counts_of
from unchoke.names import IGNORED
from unchoke.signed import signed_bytes, signed_content
from unchoke.stitching.bands import Band, kept, known_probabilities
from unchoke.store import chunks
from unchoke.store.zarr_bytes import (
    MemoryGroup,
    create_array,
    decode_chunk,
    encode_chunk,
    read_facts,
    signed_group,
    write_metadata_last,
)

PROBABILITY = "probability"
BANDS = "mask/c/"  # prefix of the bands' keys in the store of a mask
PALETTE = [(0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0)]
"""Okabe and Ito's colours (2008), which colour-blind readers tell apart; more classes take greys."""


@dataclass(frozen=True)
class Stitching:
    """How the patches of an image become its mask."""

    grid: Grid
    first: int
    """Number of the image's first patch among those of all images."""
    per_chunk: int
    n_classes: int
    blend: str
    """``crop`` or ``gaussian``."""
    probabilities: bool
    """Whether stitched probabilities are kept as well."""


def add_stitching_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that stitches; ``stitchings_of`` takes them."""
    parser.add_argument("--group", type=Path, required=True, help="Zarr group with the results of the mask head")
    parser.add_argument("--grids", type=Path, required=True, help="JSON file with the grid of every image")
    parser.add_argument("--patches", type=json.loads, required=True, help="JSON: size, overlap and per_chunk")
    parser.add_argument("--blend", required=True, help="auto, crop or gaussian")
    parser.add_argument("--probabilities", type=true_or_false, required=True, help="keep stitched probabilities")


def add_image_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that stitches one image."""
    add_stitching_flags(parser)
    parser.add_argument("--image", required=True, help="image_id")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store of the image's mask")


def choose_blend(wanted: str, radius_px: int | None, halo_px: int) -> tuple[str, bool]:
    """``crop`` or ``gaussian`` for ``segment.blend``, and whether the mask equals that of the whole image.

    radius_px: of the receptive field; None: it is the whole patch.
    """
    sees_no_farther = radius_px is not None and radius_px <= halo_px
    blend = ("crop" if sees_no_farther else "gaussian") if wanted == "auto" else wanted
    return blend, sees_no_farther and blend == "crop"


def write_predictions(file: Path, probability_NKSS: NDArray[np.float16], made_with: dict[str, Any]) -> None:
    """Write the probabilities of a chunk of patches, and a record with their digest.

    file: ``<store>/probability/c/<chunk>/0/0/0``. made_with: plain data for the record.
    """
    chunks.write_chunk(file.parents[5], int(file.parents[2].name), {PROBABILITY: probability_NKSS}, made_with)


def band_file(store: Path, band: int) -> Path:
    """Where a band of a stitched mask lies."""
    return store / "mask" / "c" / str(band) / "0"


def probability_file(store: Path, band: int) -> Path:
    """Where the probabilities of a band lie."""
    return store / PROBABILITY / "c" / "0" / str(band) / "0"


class PatchReader:
    """What is predicted for patches, and their labels, read by chunks."""

    def __init__(self, predictions: Path, labels: Path, held: int = 1) -> None:
        """predictions: of ``predict_patches``, by chunk. labels: store of ``cut_masks``. held: chunks in memory."""
        # Without a reference to itself, which would keep the chunks in a warm worker's memory.
        self._chunk = functools.lru_cache(held)(functools.partial(_read_patches, predictions, labels))

    def read(self, place: int, settings: Stitching) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        """Probabilities (K, S, S) and labels (S, S) of patch `place` of an image."""
        chunk, row = divmod(settings.first + place, settings.per_chunk)
        probability_NKSS, label_NSS = self._chunk(chunk)
        return probability_NKSS[row], label_NSS[row]


def _read_patches(predictions: Path, labels: Path, chunk: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    probability_NKSS = chunks.read_chunk(predictions, chunk)[PROBABILITY]
    return probability_NKSS, chunks.read_chunk(labels, chunk)[chunks.MASK]


def stitch_band(patches: PatchReader, store: Path, band: int, settings: Stitching) -> dict[str, Any]:
    """Write one band of an image's mask, uint8 (step, width), and return its record.

    What no valid patch covers, and what lies below the image, is ``names.IGNORED``. The record counts pixels: `counts`
    (K, K) by truth and prediction, `differ_px` of the `shared_px` where patches overlap, and `unread_px` without a
    valid patch.
    """
    grid, (top, bottom) = settings.grid, settings.grid.band_rows(band)
    stitched = Band(grid, settings.n_classes, band, settings.blend, keep_probabilities=settings.probabilities)
    truth_HW = np.full((bottom - top, grid.width), IGNORED, np.uint8)
    unread_HW = np.zeros(truth_HW.shape, bool)
    for place in grid.band_places(band):
        probability_KSS, label_SS = patches.read(place, settings)
        if read := not np.isnan(probability_KSS[0, 0, 0]):
            stitched.add(place, probability_KSS)
        else:
            stitched.leave_out(place)
        window, part = _shared(grid, place, top, bottom)
        truth_HW[window] = label_SS[part]
        unread_HW[window] |= not read
    label_HW = np.where(unread_HW, IGNORED, stitched.labels())
    differ_px, shared_px = stitched.disagreement()
    files = {band_file(store, band): encode_chunk(padded_band(label_HW, grid.step))}
    if settings.probabilities:
        probability_KHW = known_probabilities(stitched.probabilities(), unread_HW)
        files[probability_file(store, band)] = encode_chunk(padded_band(probability_KHW, grid.step, 0))
    known_HW = np.where(unread_HW, IGNORED, truth_HW)
    record = {
        "band": band,
        "counts": counts_of(known_HW.ravel(), np.where(unread_HW, 0, label_HW).ravel(), settings.n_classes).tolist(),
        "differ_px": differ_px,
        "shared_px": shared_px,
        "unread_px": int(unread_HW.sum()),
        "sha256": [sha256_bytes(data) for data in files.values()],
    }
    # The declared output last: behind a checkpoint Snakemake does not notice a killed job's leftovers.
    for path, data in {record_file(store, band): signed_bytes(record), **dict(reversed(files.items()))}.items():
        write_atomic(path, data)
    return record


def record_file(store: Path, band: int) -> Path:
    """Where the record of a band lies."""
    return store.with_suffix(".bands") / f"{band}.json"


def read_truth(labels: Path, grid: Grid, first: int, per_chunk: int) -> NDArray[np.uint8]:
    """The true mask of an image, uint8 (H, W), from the labels of its patches; first, per_chunk: see ``Stitching``."""
    truth_HW, held = np.full((grid.height, grid.width), IGNORED, np.uint8), -1
    for place in range(grid.count):
        chunk, row = divmod(first + place, per_chunk)
        if chunk != held:
            label_NSS, held = chunks.read_chunk(labels, chunk)[chunks.MASK], chunk
        window, part = _shared(grid, place, 0, grid.height)
        truth_HW[window] = label_NSS[row][part]
    return truth_HW


def _shared(grid: Grid, place: int, top: int, bottom: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a patch kept in the band from row `top` to `bottom`: its place in the band, and in the patch."""
    patch, (rows, columns) = grid.patch(place), kept(grid, place)
    first, stop = max(rows.start, top), max(min(rows.stop, bottom), max(rows.start, top))
    window = slice(first - top, stop - top), columns
    return window, (slice(first - patch.y0, stop - patch.y0), slice(columns.start - patch.x0, columns.stop - patch.x0))


def padded_band(values: NDArray[Any], rows: int, filling: int = IGNORED) -> NDArray[Any]:
    """A band (…, rows, width) as high as the others, and contiguous."""
    missing = [(0, 0)] * (values.ndim - 2) + [(0, rows - values.shape[-2]), (0, 0)]
    return np.ascontiguousarray(np.pad(values, missing, constant_values=filling))


def finish_mask(store: Path, picture: Path, summary: Path, settings: Stitching, exact: bool) -> dict[str, Any]:
    """Make the bands of a mask a Zarr array and a PNG file; write and return the sums of their records.

    exact: whether the answer is that of the whole image.
    Raises UnchokeError where a band is missing or changed.
    """
    grid, bands = settings.grid, range(settings.grid.band_count)
    records = [checked_record(store, band, settings) for band in bands]
    if not settings.probabilities:
        shutil.rmtree(store / PROBABILITY, ignore_errors=True)  # left by a run that kept them
    files = {
        file.relative_to(store).as_posix(): sha256
        for band, record in zip(bands, records, strict=True)
        for file, sha256 in zip(_files_of(store, band, settings), record["sha256"], strict=True)
    }
    write_metadata_last(signed_group(_metadata(grid, settings.n_classes, settings.probabilities), files), store)
    shape = grid.step, grid.width
    padded = (decode_chunk(band_file(store, band).read_bytes(), shape, np.dtype(np.uint8)) for band in bands)
    heights = (stop - first for first, stop in map(grid.band_rows, bands))
    rows = (label_HW[:height] for label_HW, height in zip(padded, heights, strict=True))
    write_atomic(picture, palette_png(rows, grid.height, grid.width, mask_palette(settings.n_classes)))
    sums = {name: sum(record[name] for record in records) for name in ("differ_px", "shared_px", "unread_px")}
    counts = np.sum([record["counts"] for record in records], 0).tolist()
    how = {"blend": settings.blend, "exact": exact, "halo_px": grid.halo}
    result = {**sums, **how, "counts": counts, "height": grid.height, "width": grid.width}
    write_atomic(summary, signed_bytes(result))
    return result


@functools.lru_cache(16)  # many images have the same size
def _metadata(grid: Grid, n_classes: int, probabilities: bool) -> dict[str, bytes]:
    """The metadata of a mask's store, by key."""
    group = MemoryGroup({"classes": n_classes, "ignored": IGNORED})
    shape, step, width = (grid.height, grid.width), grid.step, grid.width
    create_array(group.root, "mask", shape, (step, width), np.dtype(np.uint8), ("y", "x"))
    if probabilities:
        deep, chunk = (n_classes, *shape), (n_classes, step, width)
        create_array(group.root, PROBABILITY, deep, chunk, np.dtype(np.float16), ("class", "y", "x"))
    return group.contents()


def checked_record(store: Path, band: int, settings: Stitching) -> dict[str, Any]:
    """The record of a band; UnchokeError where a file of the band is missing or changed."""
    files = _files_of(store, band, settings)
    do = f"stitch it again, with your --configfile: snakemake --cores all --forcerun {files[0]}"
    path = record_file(store, band)
    record = signed_content(path.read_bytes()) if path.is_file() else None
    if record and [sha256_bytes(file.read_bytes()) for file in files if file.exists()] == record["sha256"]:
        return record
    raise UnchokeError(f"Band {band} of a mask is missing or changed.", where=str(files[0]), do=do)


def _files_of(store: Path, band: int, settings: Stitching) -> list[Path]:
    return [band_file(store, band), *([probability_file(store, band)] if settings.probabilities else [])]


def mask_palette(n_classes: int) -> list[tuple[int, int, int]]:
    """A colour for every class, and white, the last of 256, for unknown pixels."""
    greys = [(grey, grey, grey) for grey in np.linspace(60, 230, max(0, n_classes - len(PALETTE))).astype(int).tolist()]
    named = [*PALETTE, *greys][:n_classes]
    return [*named, *[(255, 255, 255)] * (256 - n_classes)]


def stitchings_of(
    group: Path, grids: Path, images: Iterable[str], patches: dict[str, int], blend: str, probabilities: bool
) -> dict[str, tuple[Stitching, bool]]:
    """For each image the settings for stitching it, and whether its mask equals that of the whole image.

    group: results of the mask head. grids: what ``build_patches`` says of every image. patches: size, overlap and
    per_chunk of the config. blend: ``auto``, ``crop`` or ``gaussian``.
    """
    facts, places, found = read_facts(group), read_json(grids), {}
    for image in images:
        place = places[image]
        grid = Grid(place["height"], place["width"], patches["size"], patches["overlap"])
        chosen, exact = choose_blend(blend, facts["reach_px"], grid.halo)
        classes = len(facts["classes"])
        found[image] = Stitching(grid, place["first"], patches["per_chunk"], classes, chosen, probabilities), exact
    return found
