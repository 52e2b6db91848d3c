"""Stage: the manifest, a table with one row for each image; it only grows."""

import argparse
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke import versions
from unchoke.cells import clean_cell, wrong_cell
from unchoke.files import json_bytes, write_if_changed
from unchoke.machine.commands import or_none
from unchoke.machine.receipts import read_json
from unchoke.manifest.checks import check_groups, check_labels, check_splits
from unchoke.manifest.classes import label_warnings
from unchoke.manifest.digests import known_digests
from unchoke.manifest.moves import FORGOTTEN, GONE, VANISHED, Placing, describe_placing, place_files
from unchoke.manifest.rows import found_paths, kept_lines, moves_of, read_lines, write_moves, write_rows
from unchoke.manifest.splits import draw_splits, strata
from unchoke.metrics.positive import positive_place
from unchoke.names import CLASSIFICATION, NO_LABEL, SPLITS
from unchoke.sources.digests import read_digests
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import ImageFile, Listing, image_root, list_images
from unchoke.store import tables


@dataclass(frozen=True)
class SplitSettings:
    """See ``dataset.split`` in config/README.md."""

    seed: int
    val: float
    test: float


def add_listing_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of both commands that list a source: where it lies, how its images are split, the manifest to write."""
    parser.add_argument("--kind", required=True, help="kind of source, dataset.kind in the config")
    parser.add_argument("--path", type=Path, required=True, help="the source's folder or file")
    parser.add_argument("--group", type=or_none(str), help="images that stay in one split; see dataset.split.group")
    parser.add_argument("--seed", type=int, required=True, help="seed of the splits")
    parser.add_argument("--val", type=float, required=True, help="share of val, 0 to 1")
    parser.add_argument("--test", type=float, required=True, help="share of test, 0 to 1")
    parser.add_argument("--vanished", choices=("keep", "forget"), default="keep", help="see dataset.vanished")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV to bring up to date; the others lie beside")


def build_manifest(
    kind: str,
    path: Path,
    group: str | None,
    split: SplitSettings,
    chunk_size: int,
    manifest: Path,
    rows: Path,
    fields: Fields = NO_FIELDS,
    positive: str | None = None,
    forget: bool = False,
    task: str = CLASSIFICATION,
    needs_labels: bool = True,
) -> dict[str, object]:
    """Bring `manifest`, its JSON record beside it and the folder `rows` up to date with the source; return the record.

    An image keeps its id, and its split while the split settings stay, also where its file moved; a new one takes the
    next id; one that is gone is marked ``vanished``, or ``forgotten``. Files whose content stays are not touched.
    Raises UnchokeError, before anything is written, where labels, groups and splits contradict each other, or where
    `positive` of the config is neither of two classes.
    fields: where arrays are, as ``locations.fields_of`` gives it. forget: whether vanished images are forgotten.
    task: what heads predict, and so what labels are. needs_labels: whether heads are trained, so that there must be
    labels, and images in every split.
    """
    frame, lines, record, notes = list_manifest(kind, path, group, split, manifest, fields, forget, task)
    if needs_labels:
        check_labels(frame, str(path), task)
        check_splits(frame, str(path))
    if needs_labels and positive is not None:
        positive_place(sorted(in_use(frame)["label"].unique()), positive)
    n_chunks = write_rows(lines, tables.ROW_COLUMNS, chunk_size, rows, found_paths(frame, lines))
    write_moves(moves_of(frame, lines), manifest.with_name("moves.csv"))
    warnings = [f"warning: {text}" for text in label_warnings(frame, task)]  # which count_classes writes
    for line in [*notes, *unlabelled_notes(frame), *warnings]:
        print(line, flush=True)
    return write_manifest(frame, {**record, "chunk_size": chunk_size, "chunks": n_chunks}, manifest)


class Listed(NamedTuple):
    """The manifest brought up to date with its source."""

    frame: pd.DataFrame
    lines: pd.DataFrame
    """The same with path and time of each image as its rows file has them."""
    record: dict[str, Any]
    notes: list[str]
    """What was recognised, for the log."""


def list_manifest(
    kind: str,
    path: Path,
    group: str | None,
    split: SplitSettings,
    manifest: Path,
    fields: Fields = NO_FIELDS,
    forget: bool = False,
    task: str = CLASSIFICATION,
) -> Listed:
    """The manifest brought up to date with the source; nothing is written. forget: see ``dataset.vanished``.

    task: what heads predict, and so what labels are.
    """
    record_path = manifest.with_suffix(".json")
    listing = list_images(kind, path, group, fields)
    images = [image._replace(label=clean_cell(image.label, task)) for image in listing.images]
    listing = replace(listing, images=images)
    grouping = fields.get("groups", group)
    settings = {**asdict(split), "group": grouping, "given": given_splits(listing), "version": versions.MANIFEST}
    settings |= {} if task == CLASSIFICATION else {"task": task}
    old = tables.read_table(manifest, tables.MANIFEST_COLUMNS) if manifest.exists() else None
    drawn = read_json(record_path)["split_settings"] if old is not None and record_path.exists() else {}
    # Another version draws other splits; those of an earlier one stay, and the record says which one drew them.
    keep_splits = {**drawn, "version": versions.MANIFEST} == settings
    lines = None if old is None else read_lines(old, manifest)
    placing = None if old is None or lines is None else _place(old, lines, listing, kind, path, manifest)
    frame = grow_manifest(old, listing, split, keep_splits, placing, forget, task)
    left_out = dict(sorted(listing.left_out.items()))
    record = {
        "kind": kind,
        "split_settings": drawn if keep_splits else settings,
        "left_out_files": left_out,
        **({"containers": listing.containers} if listing.containers else {}),
    }
    if old is None or lines is None or placing is None:
        return Listed(frame, frame, record, [])
    return Listed(frame, kept_lines(frame, lines, placing), record, describe_placing(old, frame, placing))


def _place(old: pd.DataFrame, lines: pd.DataFrame, listing: Listing, kind: str, path: Path, manifest: Path) -> Placing:
    """Which images the files are; bytes are read where a file may be an image that is not at its place."""
    root, paths = image_root(kind, path), [image.path for image in listing.images]

    def read(places: Sequence[int]) -> dict[int, str]:
        found = read_digests(kind, root, [paths[place] for place in places])
        return {place: digest for place, digest in zip(places, found, strict=True) if digest}

    return place_files(old, listed_frame(listing), partial(known_digests, manifest.parent / "features", lines), read)


def write_manifest(frame: pd.DataFrame, record: dict[str, object], manifest: Path) -> dict[str, object]:
    """Write the manifest and its record, where they changed; return the record with its counts."""
    write_if_changed(manifest, tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    counted = frame.loc[frame["excluded"] != FORGOTTEN, "excluded"]
    record = {
        **record,
        "images": len(counted),
        "excluded": counted[counted != ""].value_counts().to_dict(),
        "images_by_split": in_use(frame)["split"].value_counts().reindex(list(SPLITS), fill_value=0).to_dict(),
    }
    write_if_changed(manifest.with_suffix(".json"), json_bytes(record))
    return record


def unlabelled_notes(frame: pd.DataFrame) -> list[str]:
    """What becomes of rows without a label, where there are any."""
    count = int((frame["excluded"] == NO_LABEL).sum())
    told = "images have no label: they get features, and count in no figure"
    return [f"{count:,} {told}"] if count else []


def in_use(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a manifest that heads may use."""
    return frame[frame["excluded"] == ""]


def given_splits(listing: Listing) -> list[str]:
    """The splits that the source itself names."""
    return sorted({image.split for image in listing.images} - {""})


def listed_frame(listing: Listing) -> pd.DataFrame:
    """The images of a listing as a table, with the columns of ``ImageFile``."""
    found = pd.DataFrame(listing.images, columns=list(ImageFile._fields), dtype=object)
    return found.astype({"size_bytes": "int64", "mtime_ns": "int64"})


def grow_manifest(
    old: pd.DataFrame | None,
    listing: Listing,
    split: SplitSettings,
    keep_splits: bool,
    placing: Placing | None = None,
    forget: bool = False,
    task: str = CLASSIFICATION,
) -> pd.DataFrame:
    """The manifest with the images of `listing`: rows of `old` in their order, then new images in the listing's order.

    old: the manifest so far, or None. keep_splits: whether drawn splits of `old` still hold. placing: which images the
    files are; None: images are known by their paths alone. forget: whether vanished images are forgotten. task: what
    labels are.
    """
    found, so_far = listed_frame(listing), pd.DataFrame(columns=list(tables.MANIFEST_COLUMNS)) if old is None else old
    placing = placing or place_files(so_far, found, lambda ids: {}, lambda places: {})
    n_images = max(len(so_far), placing.image_id_N.max() + 1)
    frame = found.astype(object).set_index(placing.image_id_N).reindex(range(n_images))
    gone = frame["size_bytes"].isna()
    columns = list(found.columns)
    frame.loc[gone, columns] = so_far.loc[gone[: len(so_far)].to_numpy(), columns].to_numpy()
    frame.insert(0, "image_id", range(len(frame)))
    frame["excluded"] = ""
    frame.loc[frame["label"] == "", "excluded"] = NO_LABEL
    if task != CLASSIFICATION:
        wrong = frame["label"].map(lambda label: wrong_cell(label, task))
        frame.loc[wrong != "", "excluded"] = wrong
    frame.loc[gone, "excluded"] = VANISHED
    forgotten = gone & (forget | (so_far["excluded"].reindex(frame.index) == FORGOTTEN))
    frame.loc[forgotten, "excluded"] = FORGOTTEN
    frame["split"] = _splits(frame, old if keep_splits else None, given_splits(listing), split, placing, task)
    frame.loc[forgotten, ["label", "split", "group"]] = ""
    return frame.astype({"size_bytes": "int64", "mtime_ns": "int64"})


def _splits(
    frame: pd.DataFrame,
    old: pd.DataFrame | None,
    given: list[str],
    settings: SplitSettings,
    placing: Placing,
    task: str,
) -> list[str]:
    """Given splits, and drawn ones for the rows without a split; if all rows have one, missing splits come out of
    train.

    old: the manifest whose drawn splits are kept; None: all are drawn anew. Excluded rows do not count.
    """
    shares = {"val": 0.0 if "val" in given else settings.val, "test": 0.0 if "test" in given else settings.test}
    split, gone = frame["split"].copy(), frame["excluded"].isin(GONE)
    split[gone] = ""
    if any(shares.values()):
        split[split == "train"] = ""
    if old is not None:
        drawn_before = split.eq("").to_numpy()
        so_far = split.iloc[: len(old)]
        split.iloc[: len(old)] = so_far.where(so_far != "", old["split"].to_numpy())
        split = settle_groups(split, frame["group"], drawn_before & ~gone.to_numpy(), placing.moved)
    used = (frame["excluded"] == "").to_numpy()
    rows = frame[used]
    check_groups(rows["group"], split[used])
    classes, groups = strata(rows["label"], task), rows["group"].tolist()
    split[used] = draw_splits(classes, groups, split[used].tolist(), shares, settings.seed)
    return [str(name) for name in split]


def settle_groups(split: pd.Series, group: pd.Series, drawn: NDArray[np.bool_], moved: Collection[int]) -> pd.Series:
    """The splits, where a moved image that came into a group of another split takes the split of that group.

    Series are by image_id. drawn: whether the split is a drawn one, which the data does not give. moved: image ids.
    Where only moved images meet in a group, the first of them says which split.
    """
    moved_N = drawn & split.index.isin(list(moved)) & (group != "").to_numpy()
    for name in sorted(set(group[moved_N])):
        members = split[(group == name) & (split != "")]
        if members.nunique() > 1:
            stayed = members[~members.index.isin(list(moved))]
            split = split.mask(moved_N & (group == name).to_numpy(), (stayed if len(stayed) else members).iloc[0])
    return split
