"""Stage: the manifest of patches, into which large images are cut. Like the manifest of images it only grows."""

import argparse
import importlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from unchoke.errors import UnreadableImageError
from unchoke.files import json_bytes, write_if_changed
from unchoke.hashing import sha256_bytes
from unchoke.images.grid import Grid
from unchoke.images.windows import image_size
from unchoke.machine.receipts import read_json
from unchoke.manifest.checks import check_splits
from unchoke.manifest.images import NO_LABEL, SplitSettings, list_manifest, write_manifest
from unchoke.manifest.moves import GONE
from unchoke.manifest.rows import found_paths, moves_of, write_moves, write_rows
from unchoke.sources.source import add_picture_flags
from unchoke.store import tables

NO_MASK = "no mask"
RESIZED = "the image has another size now"
_SIDES = ("height", "width")
_NO_FILE = {"path": "", "size_bytes": -1, "mtime_ns": 0}


@dataclass(frozen=True)
class PatchSettings:
    """See ``patches`` in config/README.md."""

    size: int
    overlap: int
    per_chunk: int


def add_patch_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that reads the patches of one chunk: which, where they lie, how many to a chunk."""
    parser.add_argument("--rows", type=Path, required=True, help="CSV with the patches of the chunk")
    add_picture_flags(parser)
    parser.add_argument("--per-chunk", type=int, required=True, help="patches per chunk")
    parser.add_argument("--chunk", type=int, required=True, help="number of the chunk")


def build_patches(
    kind: str,
    path: Path,
    group: str | None,
    split: SplitSettings,
    settings: PatchSettings,
    manifest: Path,
    forget: bool = False,
) -> dict[str, object]:
    """Bring the manifest and, beside it, patches, grids and rows of chunks up to date; return the manifest's record.

    <folder>/manifest.csv, .json     the images, as ``build_manifest`` lists them
    <folder>/patches.csv             the patches of all images; one keeps its number while its image keeps its size
    <folder>/grids.json              by image_id: the first of its patches, height, width, rows, columns, split
    <folder>/rows/<chunk>.csv        inputs of the features of a chunk of patches
    <folder>/mask_rows/<chunk>.csv   inputs of their labels

    An image whose size cannot be read, or that has no mask of its size, is marked with the reason.
    Raises UnchokeError where a split is left empty.
    """
    folder, masks_of = manifest.parent, importlib.import_module(f"unchoke.sources.kinds.{kind}").list_masks
    frame, lines, record, notes = list_manifest(kind, path, group, split, manifest, forget=forget)
    frame = _with_masks(frame, {name: file._asdict() for name, file in masks_of(path, group).items()})
    _measure(frame, path if path.is_dir() else path.parent)
    check_splits(frame, str(path))
    old = tables.read_table(folder / "patches.csv", tables.PATCH_COLUMNS) if _holds(folder, settings) else None
    patches = grow_patches(old, frame, settings)
    rows = patches.merge(frame, "left", "image_id", suffixes=("", "_image"), validate="many_to_one")
    of_features = patches.drop(columns="excluded").merge(lines, "left", "image_id", validate="many_to_one")
    found = found_paths(frame, lines)
    chunks = write_rows(of_features, tables.PATCH_ROW_COLUMNS, settings.per_chunk, folder / "rows", found)
    write_rows(_mask_rows(rows), tables.PATCH_ROW_COLUMNS, settings.per_chunk, folder / "mask_rows")
    write_if_changed(folder / "patches.csv", data := tables.frame_bytes(patches, tables.PATCH_COLUMNS))
    write_if_changed(folder / "grids.json", json_bytes(grids_of(patches, frame, settings)))
    write_moves(moves_of(frame, lines), folder / "moves.csv")
    for note in notes:
        print(note, flush=True)
    cut = {"patches": len(patches), "chunks": chunks, "patches_sha256": sha256_bytes(data)}
    facts = {**record, **cut, "patch_settings": asdict(settings)}
    return write_manifest(frame, facts, manifest)


def _holds(folder: Path, settings: PatchSettings) -> bool:
    """Whether complete patches with these settings exist; their digest is written last."""
    record, patches = (folder / name for name in ("manifest.json", "patches.csv"))
    if not (record.exists() and patches.exists()):
        return False
    facts = read_json(record)
    same_cut = facts.get("patch_settings") == asdict(settings)
    return bool(same_cut and facts["patches_sha256"] == sha256_bytes(patches.read_bytes()))


def _with_masks(frame: pd.DataFrame, masks: dict[str, dict[str, object]]) -> pd.DataFrame:
    """The manifest with each image's mask: ``mask_path``, empty where there is none, its size and time."""
    paths = frame["path"].mask(frame["excluded"].isin(GONE), "")  # another image may have its path now
    found = pd.DataFrame([masks.get(path, _NO_FILE) for path in paths]).add_prefix("mask_")
    return pd.concat([frame, found], axis=1).replace({"excluded": {NO_LABEL: NO_MASK}})


def _measure(frame: pd.DataFrame, root: Path) -> None:
    """Fill in height and width, px, 0 where unreadable, and mark unusable images with the reason."""
    sides = np.zeros((len(frame), 2), np.int64)
    for row, (path, mask, excluded) in enumerate(
        zip(frame["path"], frame["mask_path"], frame["excluded"], strict=True)
    ):
        if excluded in GONE:
            continue
        try:
            sides[row] = image_size(root / path)
            mask_sides = image_size(root / mask) if mask else None
        except UnreadableImageError as error:
            reason = f"its mask: {error}" if sides[row].any() else str(error)
        else:
            reason = ""
            if mask_sides is not None and mask_sides != tuple(sides[row]):
                reason = f"mask of {_size(mask_sides)} for an image of {_size(sides[row].tolist())}"
        if not excluded:
            frame.loc[row, "excluded"] = reason
    frame[list(_SIDES)] = sides


def _size(sides: Sequence[int]) -> str:
    height, width = sides
    return f"{width} × {height} px"


def grow_patches(old: pd.DataFrame | None, frame: pd.DataFrame, settings: PatchSettings) -> pd.DataFrame:
    """The patches after the images of `frame` (image_id, height, width, excluded): those of `old` in their order, new
    ones behind them.

    Patches of an image that has another size now are marked; those of a vanished or unreadable one stay as they are.
    """
    parts = [] if old is None else [old.copy()]
    known = {} if old is None else _sides_by_image(old)
    for image_id, height, width in frame[["image_id", *_SIDES]].itertuples(index=False):
        sides = (height, width)
        if not height or known.get(image_id) == sides:
            continue
        if image_id in known:
            parts[0].loc[parts[0]["image_id"] == image_id, "excluded"] = RESIZED
        parts.append(_patches_of(image_id, Grid(height, width, settings.size, settings.overlap)))
    patches = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(tables.PATCH_COLUMNS))
    return patches.assign(patch_id=range(len(patches)))


def _sides_by_image(patches: pd.DataFrame) -> dict[int, tuple[int, int]]:
    """Height and width of the images that the patches in use were cut from."""
    used = patches[patches["excluded"] == ""]
    ends = used.assign(height=used["y0"] + used["height"], width=used["x0"] + used["width"])
    largest = ends.groupby("image_id")[list(_SIDES)].max()
    sides = zip(largest["height"].tolist(), largest["width"].tolist(), strict=True)
    return dict(zip(largest.index.tolist(), sides, strict=True))


def _patches_of(image_id: int, grid: Grid) -> pd.DataFrame:
    cut = pd.DataFrame([grid.patch(place) for place in range(grid.count)])
    return cut.assign(image_id=image_id, halo=grid.halo, excluded="")


def _mask_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with masks in place of images; excluded patches and images get no mask, as it may not fit."""
    rows = rows.drop(columns=list(_NO_FILE)).rename(columns=lambda name: name.removeprefix("mask_"))
    marked = (rows["excluded"] != "") | (rows["excluded_image"] != "")
    return rows.assign(**{name: rows[name].where(~marked, nothing) for name, nothing in _NO_FILE.items()})


def grids_of(patches: pd.DataFrame, frame: pd.DataFrame, settings: PatchSettings) -> dict[str, dict[str, object]]:
    """By image_id of every usable image: its grid and its first patch, for stitching."""
    used = patches[patches["excluded"] == ""]
    firsts, sides = used.groupby("image_id")["patch_id"].min(), _sides_by_image(patches)
    grids = {}
    for image_id, split, excluded in frame[["image_id", "split", "excluded"]].itertuples(index=False):
        if excluded:
            continue
        grid = Grid(*sides[image_id], settings.size, settings.overlap)
        size = {"height": grid.height, "width": grid.width, "rows": grid.rows, "columns": grid.columns}
        grids[str(image_id)] = {"first": int(firsts[image_id]), "split": split, **size}
    return grids
