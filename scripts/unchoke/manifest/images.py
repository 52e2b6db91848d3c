"""Stage: the manifest, one row an image, which only grows."""

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.files import json_bytes, write_if_changed
from unchoke.machine.receipts import read_json
from unchoke.manifest.splits import draw_splits
from unchoke.metrics.positive import positive_place
from unchoke.names import SPLITS
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import Listing, list_images
from unchoke.store import tables
from unchoke.store.cuts import chunk_bounds, chunk_count

VANISHED = "vanished"
NO_LABEL = "no label"


@dataclass(frozen=True)
class SplitSettings:
    """See ``dataset.split`` in config/README.md."""

    seed: int
    val: float
    test: float


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
) -> dict[str, object]:
    """Bring `manifest`, its JSON record beside it and the folder `rows` up to date with the source; return the record.

    An image keeps its id, and its split while the split settings stay; a new one takes the next id; one that is gone
    is marked ``vanished``. Files whose content stays are not touched. Raises UnchokeError, before anything is
    written, where labels, groups and splits do not hold together, or where the class that the config calls `positive`
    is none of two. fields: where arrays are, as ``locations.fields_of`` gives it.
    """
    frame, record = list_manifest(kind, path, group, split, manifest, fields)
    check_classes(frame, path)
    if positive is not None:
        positive_place(sorted(in_use(frame)["label"].unique()), positive)
    check_splits(frame, path)
    n_chunks = write_rows(frame, tables.ROW_COLUMNS, chunk_size, rows)
    return write_manifest(frame, {**record, "chunk_size": chunk_size, "chunks": n_chunks}, manifest)


def list_manifest(
    kind: str, path: Path, group: str | None, split: SplitSettings, manifest: Path, fields: Fields = NO_FIELDS
) -> tuple[pd.DataFrame, dict[str, object]]:
    """The manifest after what the source holds now, and what its record says of it; nothing is written."""
    record_path = manifest.with_suffix(".json")
    listing = list_images(kind, path, group, fields)
    grouping = fields.get("groups", group)
    settings = {**asdict(split), "group": grouping, "given": given_splits(listing), "version": versions.MANIFEST}
    old = tables.read_table(manifest, tables.MANIFEST_COLUMNS) if manifest.exists() else None
    drawn = read_json(record_path)["split_settings"] if old is not None and record_path.exists() else {}
    # Another version draws other splits; those of an earlier one stay, and the record says which one drew them.
    keep_splits = {**drawn, "version": versions.MANIFEST} == settings
    left_out = dict(sorted(listing.left_out.items()))
    return grow_manifest(old, listing, split, keep_splits), {
        "kind": kind,
        "split_settings": drawn if keep_splits else settings,
        "left_out_files": left_out,
        **({"containers": listing.containers} if listing.containers else {}),
    }


def write_manifest(frame: pd.DataFrame, record: dict[str, object], manifest: Path) -> dict[str, object]:
    """Write the manifest and its record, where they changed; return the record with its counts."""
    write_if_changed(manifest, tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    record = {
        **record,
        "images": len(frame),
        "excluded": frame.loc[frame["excluded"] != "", "excluded"].value_counts().to_dict(),
        "images_by_split": in_use(frame)["split"].value_counts().reindex(list(SPLITS), fill_value=0).to_dict(),
    }
    write_if_changed(manifest.with_suffix(".json"), json_bytes(record))
    return record


def in_use(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a manifest that heads may use."""
    return frame[frame["excluded"] == ""]


def given_splits(listing: Listing) -> list[str]:
    """The splits that the source itself names."""
    return sorted({image.split for image in listing.images} - {""})


def grow_manifest(old: pd.DataFrame | None, listing: Listing, split: SplitSettings, keep_splits: bool) -> pd.DataFrame:
    """The manifest after `listing`: rows of `old` in their order, new images behind them in that of the listing.

    old: the manifest so far, or None. keep_splits: whether drawn splits of `old` still hold.
    """
    found = pd.DataFrame(listing.images, columns=list(listing.images[0]._fields), dtype=object)
    known = pd.Series([], dtype=object) if old is None else old["path"]
    paths = pd.concat([known, found.loc[~found["path"].isin(known), "path"]])
    frame = found.set_index("path").reindex(pd.Index(paths, dtype=object, name="path")).reset_index()
    gone = frame["size_bytes"].isna()
    if old is not None:
        frame.loc[gone, list(found.columns)] = old.loc[gone[: len(old)].to_numpy(), list(found.columns)].to_numpy()
    frame.insert(0, "image_id", range(len(frame)))
    frame["excluded"] = ""
    frame.loc[frame["label"] == "", "excluded"] = NO_LABEL
    frame.loc[gone, "excluded"] = VANISHED
    frame["split"] = _splits(frame, old if keep_splits else None, given_splits(listing), split)
    return frame.astype({"size_bytes": "int64", "mtime_ns": "int64"})


def _splits(frame: pd.DataFrame, old: pd.DataFrame | None, given: list[str], settings: SplitSettings) -> list[str]:
    """Given splits as they are; the others drawn from the rows that have none, or from train where all have one.

    old: the manifest whose drawn splits are kept; None: all are drawn anew. Rows that no head uses have no say.
    """
    shares = {"val": 0.0 if "val" in given else settings.val, "test": 0.0 if "test" in given else settings.test}
    split = frame["split"].copy()
    split[frame["excluded"] == VANISHED] = ""
    if any(shares.values()):
        split[split == "train"] = ""
    if old is not None:
        so_far = split.iloc[: len(old)]
        split.iloc[: len(old)] = so_far.where(so_far != "", old["split"].to_numpy())
    used = (frame["excluded"] == "").to_numpy()
    rows = frame[used]
    check_groups(rows["group"], split[used])
    drawn = draw_splits(rows["label"].tolist(), rows["group"].tolist(), split[used].tolist(), shares, settings.seed)
    split[used] = drawn
    return [str(name) for name in split]


def check_groups(group: pd.Series, split: pd.Series) -> None:
    """UnchokeError where a group stands in two splits."""
    named = pd.DataFrame({"group": group, "split": split})[(group != "") & (split != "")]
    splits = named.groupby("group")["split"].unique()
    if len(torn := splits[splits.str.len() > 1]):
        raise UnchokeError(
            "A group stands in two splits.",
            found=f"{torn.index[0]!r} in {' and '.join(sorted(torn.iloc[0]))}"
            + (f", and {len(torn) - 1} more groups" if len(torn) > 1 else ""),
            expected="all images of one group (patient, slide) in one split, or test figures are too good",
            do="correct the splits, or leave them empty to have them drawn by whole groups",
        )


def check_classes(frame: pd.DataFrame, where: Path) -> None:
    """UnchokeError where no honest head can be trained: one class, or a class that train lacks."""
    rows = in_use(frame)
    classes = sorted(rows["label"].unique())
    if len(classes) < 2:
        raise UnchokeError(
            "There are too few classes.",
            found=f"{len(classes)} ({', '.join(map(repr, classes)) or 'no image has a label'})",
            expected="at least 2",
            where=str(where),
            do="one folder a class below dataset.path, or labels (column or array) with two values",
        )
    labels = {split: set(rows.loc[rows["split"] == split, "label"]) for split in SPLITS}
    for split in ("val", "test"):
        if unseen := sorted(labels[split] - labels["train"]):
            raise UnchokeError(
                f"The {split} split has a class that train lacks.",
                found=", ".join(map(repr, unseen[:5])),
                expected="every class in train",
                where=str(where),
                do="move some of its images to train, or delete the class",
            )


def check_splits(frame: pd.DataFrame, where: Path) -> None:
    """UnchokeError where a split is empty."""
    rows, reasons = in_use(frame), frame.loc[frame["excluded"] != "", "excluded"].value_counts()
    for split in SPLITS:
        if not (rows["split"] == split).any():
            left_out = "".join(f"; left out: {count} × {reason}" for reason, count in reasons.head(3).items())
            raise UnchokeError(
                f"The {split} split is empty.",
                found=f"{len(rows)} images, none of them in {split}{left_out}",
                expected="train to fit, val to choose, test to report",
                where=str(where),
                do=f"give it images, or change dataset.split.{split}; with few groups a split may get none",
            )


def write_rows(frame: pd.DataFrame, columns: dict[str, type], chunk_size: int, folder: Path) -> int:
    """Write ``<folder>/<chunk>.csv`` for every chunk, touching only what changed; return the number of chunks.

    They hold what features depend on. A row that has vanished keeps its line: its feature needs no new run.
    """
    rows = list(zip(*(frame[name].tolist() for name in columns), strict=True))
    n_chunks = chunk_count(len(rows), chunk_size)
    for chunk in range(n_chunks):
        start, stop = chunk_bounds(chunk, len(rows), chunk_size)
        write_if_changed(folder / f"{chunk}.csv", tables.table_bytes(list(columns), rows[start:stop]), sync=False)
    for file in folder.glob("*.csv"):
        if not file.stem.isdigit() or int(file.stem) >= n_chunks:
            file.unlink()
    return n_chunks
