"""Stage: what users decided about single images, in a CSV of their own that is read and never written.

Its columns are path or image_id, decision (keep, drop, relabel), label for relabel, and note if they like. ``decided``
holds them by image_id, so that later jobs need neither the paths nor the checks.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pandas as pd

from unchoke import versions
from unchoke.cells import clean_cell, labels_in, wrong_cell
from unchoke.errors import UnchokeError
from unchoke.files import file_sha256, json_bytes, write_atomic
from unchoke.machine.receipts import read_json
from unchoke.manifest.classes import counts_of
from unchoke.manifest.moves import GONE
from unchoke.names import CLASSIFICATION, MULTILABEL, nearest
from unchoke.sources.csv_files import CsvFile, read_csv
from unchoke.store import tables
from unchoke.texts import clean_label, clean_text

KEEP, DROP, RELABEL = WORDS = ("keep", "drop", "relabel")
COLUMNS = ("path", "image_id", "decision", "label", "note")
DROPPED = "dropped by decisions.csv"
"""The reason of a row that the user drops."""
ABOUT_LABELS = ("label_conflict", "mislabelled")
"""Rules whose drop a new label answers."""
_UNREADABLE = "unreadable"  # nothing can keep an image without pixels
_MOST_TOLD = 20  # problems in one message
_MOST_NEAR = 2000  # paths that are compared for the nearest one


class Decision(NamedTuple):
    """What the user decided about an image."""

    image_id: int
    decision: str
    """One of WORDS."""
    label: str
    """The new one, where it is relabelled; else empty."""
    note: str
    row: int
    """Of the CSV, whose header is row 1."""


def read_decisions(path: Path, manifest: Path, decided: Path, task: str = CLASSIFICATION) -> dict[str, Any]:
    """Check the decisions in the CSV at `path`, and write them by image_id; return what was written.

    task: what heads predict, and so what a new label may be. Raises UnchokeError with a line for each row that cannot
    be followed.
    """
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    table = read_csv(path, do=f"check {path.name}, or save it again as UTF-8 with a column a comma")
    _refuse_columns(table, path)
    found = _decisions(table, frame, path, task)
    used = frame["excluded"].to_numpy(object)
    split = frame["split"].to_numpy(object)
    result = {
        "version": versions.DECISIONS,
        "sha256": file_sha256(path),
        "counts": _counts(found, split),
        "undecided": len(table.rows) - sum(1 for _ in _decided_rows(table)),
        "not_in_use": sum(used[one.image_id] != "" for one in found),
        "columns_not_read": [name for name in table.columns if name not in COLUMNS],
        "decisions": [one._asdict() for one in found],
    }
    write_atomic(decided, json_bytes(result))
    return result


def _refuse_columns(table: CsvFile, path: Path) -> None:
    """UnchokeError where the column decision is missing, or both columns that name an image."""
    missing = [] if "decision" in table.columns else ["decision"]
    missing += [] if {"path", "image_id"} & set(table.columns) else ["path"]
    if missing:
        near = nearest(missing[0], table.columns, count=1)
        mending = f"rename '{near[0]}' to '{missing[0]}'" if near else f"add the column '{missing[0]}'"
        if len(table.columns) == 1 and ";" in table.columns[0]:
            mending = "save it with commas, not semicolons, between the columns"
        raise UnchokeError(
            f"The decisions have no column '{missing[0]}'.",
            found=f"columns {', '.join(table.columns)}",
            expected="path or image_id, decision, label where an image is relabelled, and a note if you like",
            where=str(path.absolute()),
            do=mending,
        )


def _decided_rows(table: CsvFile) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and cells of each row that has a decision; one without is not decided yet."""
    for number, cells in zip(table.numbers, table.rows, strict=True):
        row = dict(zip(table.columns, cells, strict=False))
        if clean_text(row.get("decision", "")):
            yield number, row


def _decisions(table: CsvFile, frame: pd.DataFrame, path: Path, task: str) -> list[Decision]:
    """One decision an image, in the order of their ids; UnchokeError with all that is wrong."""
    known = _Known(frame, task)
    found: dict[int, Decision] = {}
    problems: list[str] = []
    for number, row in _decided_rows(table):
        try:
            one = known.decision(row, number)
            if (before := found.setdefault(one.image_id, one))[:3] != one[:3]:
                raise ValueError(f"{_said(one)}, but row {before.row} says {_said(before)} of the same image")
        except ValueError as error:
            problems.append(f"row {number}: {error}")
        if len(problems) == _MOST_TOLD:  # to look for the nearest path takes time
            problems.append(f"rows behind row {number} are not checked yet")
            break
    if problems:
        lines = "".join(f"\n  - {text}" for text in problems)
        raise UnchokeError(
            f"The decisions cannot be followed.{lines}",
            where=str(path.absolute()),
            do="correct these rows; docs/cleaning.md has an example",
        )
    return sorted(found.values())


def _said(one: Decision) -> str:
    return f"{one.decision} {one.label}".strip()


class _Known:
    """The images and classes that decisions may name."""

    def __init__(self, frame: pd.DataFrame, task: str) -> None:
        self._task = task
        gone_first = frame.assign(gone=frame["excluded"].isin(GONE)).sort_values("gone", ascending=False, kind="stable")
        # Another image may have the path of one that is gone: the last one counts.
        self._ids = dict(zip(gone_first["path"], gone_first["image_id"].tolist(), strict=True))
        self._cleaned = {clean_text(path): image_id for path, image_id in self._ids.items()}
        self._paths = frame["path"].tolist()
        self._labels = frame["label"].tolist()
        self._classes = sorted(counts_of(frame, task))

    def decision(self, row: Mapping[str, str], number: int) -> Decision:
        """The decision of a row; ValueError where it cannot be followed."""
        word, given = clean_text(row["decision"]).casefold(), row.get("label", "")
        label = given if given in self._classes else clean_cell(clean_label(given), self._task)
        if word not in WORDS:
            raise ValueError(f"unknown decision '{word}'{_near(word, WORDS)}")
        image_id = self._image(row.get("path", ""), row.get("image_id", ""))
        if word == RELABEL:
            self._check_label(label)
        elif label and label != self._labels[image_id]:
            raise ValueError(f"{word} with another label, '{label}': write relabel, or leave the label out")
        return Decision(image_id, word, label if word == RELABEL else "", clean_text(row.get("note", "")), number)

    def _check_label(self, label: str) -> None:
        if not label:
            raise ValueError("relabel without a label")
        if why := wrong_cell(label, self._task):
            raise ValueError(f"'{label}': {why}")
        for one in {CLASSIFICATION: [label], MULTILABEL: labels_in(label)}.get(self._task, []):
            if one not in self._classes:
                raise ValueError(f"'{one}' is no class of the dataset{_near(one, self._classes)}")

    def _image(self, path: str, text: str) -> int:
        """The image that a row names, by its path, its id, or both."""
        of_text = self._numbered(clean_label(text)) if clean_text(text) else None
        clean = clean_text(path)
        of_path = self._ids.get(path, self._cleaned.get(clean)) if clean else of_text
        if of_path is None:
            raise ValueError(self._unknown(clean) if clean else "names no image: path is empty")
        if of_text is not None and self._paths[of_text] != self._paths[of_path]:
            raise ValueError(f"image_id {of_text} is '{self._paths[of_text]}', not '{clean}'")
        return of_path if of_text is None else of_text

    def _numbered(self, text: str) -> int:
        if not text.isdecimal() or int(text) >= len(self._paths):
            raise ValueError(f"image_id '{text}' is no number from 0 to {len(self._paths) - 1}")
        return int(text)

    def _unknown(self, path: str) -> str:
        """What to say of a path that no image has. Paths with its name are near, else those in its folder."""
        folder, name = str(PurePosixPath(path).parent), PurePosixPath(path).name
        alike = [one for one in self._cleaned if one.rpartition("/")[2] == name]
        alike = alike or [one for one in self._cleaned if str(PurePosixPath(one).parent) == folder]
        alike = alike or list(self._cleaned)
        return f"no image has the path '{path}'{_near(path, alike[:_MOST_NEAR], known=False)}"


def _near(word: str, names: Any, *, known: bool = True) -> str:
    """``: did you mean …?``, or the first of the known names where none is similar."""
    if near := nearest(word, names, count=1):
        return f": did you mean '{near[0]}'?"
    few = list(names)[:10]
    return f": known are {', '.join(few)}{', …' if len(few) < len(names) else ''}" if known else ""


def _counts(found: list[Decision], split: Any) -> dict[str, dict[str, int]]:
    """Images by decision and split."""
    counts: dict[str, dict[str, int]] = {word: {} for word in WORDS}
    for one in found:
        of_split = split[one.image_id] or "no split"
        counts[one.decision][of_split] = counts[one.decision].get(of_split, 0) + 1
    return {word: of_splits for word, of_splits in counts.items() if of_splits}


def read_decided(decided: Path | None) -> list[Decision]:
    """The decisions that ``read_decisions`` wrote; none for None."""
    return [Decision(**one) for one in read_json(decided)["decisions"]] if decided else []


def standing(drops: pd.DataFrame, decisions: list[Decision]) -> pd.DataFrame:
    """Those of the rules' `drops` (columns image_id and rule) that the decisions do not overrule.

    ``keep`` overrules every rule but the one about unreadable images. ``relabel`` overrules rules about labels: a copy
    in test, or a dark image, is none the less one under another label.
    """
    word = drops["image_id"].map({one.image_id: one.decision for one in decisions})
    kept = (word == KEEP) & (drops["rule"] != _UNREADABLE)
    return drops[~(kept | ((word == RELABEL) & drops["rule"].isin(ABOUT_LABELS)))]


def relabelled(label: pd.Series, decisions: list[Decision]) -> pd.Series:
    """The labels of all images, by image_id, as the decisions leave them."""
    changed = label.copy()
    new = {one.image_id: one.label for one in decisions if one.decision == RELABEL}
    changed.iloc[list(new)] = list(new.values())
    return changed


def said(decided: Mapping[str, Any]) -> Iterator[str]:
    """A line for each kind of decision, and what was not followed. decided: as ``read_decisions`` wrote it."""
    for word, splits in decided["counts"].items():
        told = ", ".join(f"{count:,} of {split}" for split, count in splits.items())
        yield f"{word}: {sum(splits.values()):,} ({told})"
    if decided["undecided"]:
        yield f"rows without a decision: {decided['undecided']:,}"
    if decided["not_in_use"]:
        yield f"about images that the dataset does not use, which changes nothing: {decided['not_in_use']:,}"
    if decided["columns_not_read"]:
        yield f"columns that are not read: {', '.join(decided['columns_not_read'])}"
