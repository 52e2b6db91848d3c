"""Stage: the manifest of patches, into which large images are cut. Like the manifest of images it only grows."""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from unchoke.files import json_bytes, write_if_changed
from unchoke.hashing import sha256_bytes
from unchoke.images.grid import Grid
from unchoke.machine.receipts import read_json
from unchoke.manifest.checks import check_splits
from unchoke.manifest.images import SplitSettings, list_manifest, write_manifest
from unchoke.manifest.masks import SIDES, MaskTruths
from unchoke.manifest.rows import found_paths, moves_of, write_moves, write_rows
from unchoke.manifest.words import WordTruths
from unchoke.names import TEXT_KINDS
from unchoke.sources.source import add_picture_flags
from unchoke.store import tables

RESIZED = "the image has another size now"


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
    <folder>/words.csv, quarantined_words.csv   only of images with words; see ``WordTruths``

    An image whose size cannot be read, or that has no mask of its size, or no words, is marked with the reason.
    Raises UnchokeError where a split is left empty.
    """
    folder = manifest.parent
    frame, lines, record, notes = list_manifest(kind, path, group, split, manifest, forget=forget)
    truths = (WordTruths if kind in TEXT_KINDS else MaskTruths)(kind, path, group)
    frame = truths.attach(frame, path if path.is_dir() else path.parent)
    check_splits(frame, str(path))
    old = tables.read_table(folder / "patches.csv", tables.PATCH_COLUMNS) if _holds(folder, settings) else None
    patches = grow_patches(old, frame, settings)
    rows = patches.merge(frame, "left", "image_id", suffixes=("", "_image"), validate="many_to_one")
    of_features = patches.drop(columns="excluded").merge(lines, "left", "image_id", validate="many_to_one")
    found = found_paths(frame, lines)
    chunks = write_rows(of_features, tables.PATCH_ROW_COLUMNS, settings.per_chunk, folder / "rows", found)
    of_truths = truths.write(rows, settings.size, settings.per_chunk, folder)
    write_if_changed(folder / "patches.csv", data := tables.frame_bytes(patches, tables.PATCH_COLUMNS))
    write_if_changed(folder / "grids.json", json_bytes(grids_of(patches, frame, settings)))
    write_moves(moves_of(frame, lines), folder / "moves.csv")
    for note in [*notes, *truths.notes]:
        print(note, flush=True)
    cut = {"patches": len(patches), "chunks": chunks, "patches_sha256": sha256_bytes(data)}
    facts = {**record, **cut, **of_truths, "patch_settings": asdict(settings)}
    return write_manifest(frame, facts, manifest)


def _holds(folder: Path, settings: PatchSettings) -> bool:
    """Whether complete patches with these settings exist; their digest is written last."""
    record, patches = (folder / name for name in ("manifest.json", "patches.csv"))
    if not (record.exists() and patches.exists()):
        return False
    facts = read_json(record)
    same_cut = facts.get("patch_settings") == asdict(settings)
    return bool(same_cut and facts["patches_sha256"] == sha256_bytes(patches.read_bytes()))


def grow_patches(old: pd.DataFrame | None, frame: pd.DataFrame, settings: PatchSettings) -> pd.DataFrame:
    """The patches after the images of `frame` (image_id, height, width, excluded): those of `old` in their order, new
    ones behind them.

    Patches of an image that has another size now are marked; those of a vanished or unreadable one stay as they are.
    """
    parts = [] if old is None else [old.copy()]
    known = {} if old is None else _sides_by_image(old)
    for image_id, height, width in frame[["image_id", *SIDES]].itertuples(index=False):
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
    largest = ends.groupby("image_id")[list(SIDES)].max()
    sides = zip(largest["height"].tolist(), largest["width"].tolist(), strict=True)
    return dict(zip(largest.index.tolist(), sides, strict=True))


def _patches_of(image_id: int, grid: Grid) -> pd.DataFrame:
    cut = pd.DataFrame([grid.patch(place) for place in range(grid.count)])
    return cut.assign(image_id=image_id, halo=grid.halo, excluded="")


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
