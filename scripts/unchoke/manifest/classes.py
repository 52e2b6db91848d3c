"""Stage: the images of each class by split, and warnings of classes that look like a mistake."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from unchoke.cells import labels_in
from unchoke.files import json_bytes, write_atomic
from unchoke.machine.receipts import read_json
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION, SPLITS
from unchoke.store import tables

Counts = dict[str, dict[str, int]]
"""Images by class and split, the classes in order."""

FEW_SHARE = 0.05  # of the images of a class with a similar name, below which a class looks misspelt
UNBALANCED = 100  # times as many images in the largest class as in the smallest
MOST_NAMED = 5  # classes in one warning
MOST_SMALL = 50  # classes whose names are compared with all others


def count_classes(manifest: Path, classes: Path, task: str = CLASSIFICATION) -> dict[str, Any]:
    """Write and return ``classes``, the images by class and split, and ``warnings``, a list of sentences.

    task: what heads predict: of several labels the images of each, of numbers none.
    """
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    result = {"classes": counts_of(frame, task), "warnings": label_warnings(frame, task)}
    write_atomic(classes, json_bytes(result))
    return result


def recorded_task(manifest: Path) -> str:
    """What heads predict of the images of a manifest, by the record beside it; classes where there is none."""
    record = manifest.with_suffix(".json")
    found = read_json(record)["split_settings"] if record.exists() else {}
    return str(found.get("task", CLASSIFICATION))


def label_warnings(frame: pd.DataFrame, task: str = CLASSIFICATION) -> list[str]:
    """Sentences on labels in use that look like a mistake. task: what heads predict."""
    if task == MULTILABEL:
        return name_warnings(counts_of(frame, task))
    if task == CLASSIFICATION:
        return class_warnings(counts_of(frame))
    numbers = frame.loc[frame["excluded"] == "", "label"]
    constant = len(numbers) > 0 and numbers.nunique() == 1
    return [f"all images have the same target, {numbers.iloc[0]}: nothing can be learnt"] if constant else []


def counts_of(frame: pd.DataFrame, task: str = CLASSIFICATION) -> Counts:
    """The images in use of a manifest, by class and split.

    task: what heads predict: of several labels the images of each, of numbers none.
    """
    rows = frame.loc[frame["excluded"] == "", ["label", "split"]]
    if task == REGRESSION:
        return {}
    if task == MULTILABEL:
        rows = rows.assign(label=rows["label"].map(labels_in)).explode("label").dropna()
    table = pd.crosstab(rows["label"], rows["split"]).reindex(columns=list(SPLITS), fill_value=0).sort_index()
    return {str(label): {split: int(row[split]) for split in SPLITS} for label, row in table.iterrows()}


def class_warnings(counts: Counts) -> list[str]:
    """Sentences on what ``name_warnings`` finds, and on imbalance."""
    found, totals = name_warnings(counts), _totals(counts)
    if not totals:
        return []
    smallest, largest = min(totals, key=totals.__getitem__), max(totals, key=totals.__getitem__)
    if totals[largest] > UNBALANCED * totals[smallest]:
        sizes = f"{totals[largest]:,} images of {largest!r}, {totals[smallest]:,} of {smallest!r}"
        found.append(f"the classes are unbalanced: {sizes}; balanced accuracy counts each class alike")
    several = [name for name in totals if len(parts := labels_in(name)) > 1 and totals.keys() & set(parts)]
    if several:
        found.append(
            f"{_named(several)} of several others: for several labels an image set dataset.target to multilabel"
        )
    return found


def _totals(counts: Counts) -> dict[str, int]:
    return {name: sum(by_split.values()) for name, by_split in counts.items()}


def name_warnings(counts: Counts) -> list[str]:
    """Sentences on names that look misspelt, classes of one image, and classes that val or test lack."""
    totals = _totals(counts)
    found = list(_small_classes(totals))
    for split in ("val", "test"):
        if lacking := [name for name, by_split in counts.items() if totals[name] > 1 and not by_split[split]]:
            found.append(f"{_named(lacking)} without an image in {split}: its figures do not speak of them")
    return found


def _small_classes(totals: dict[str, int]) -> Iterator[str]:
    """Warnings of classes with one image, and of small ones with a name like that of a large one."""
    alone = []
    for name in sorted(totals, key=lambda name: (totals[name], name))[:MOST_SMALL]:
        images = "1 image" if totals[name] == 1 else f"{totals[name]:,} images"
        if near := _similar(name, totals):
            yield f"class {name!r} has {images}; did you mean {near!r} ({totals[near]:,} images)?"
        elif totals[name] == 1:
            alone.append(name)
    rest = sum(total == 1 for total in totals.values()) - len(alone)
    if alone and rest <= MOST_SMALL:
        yield f"{_named(alone)} with 1 image: nothing is left to choose or to test with"


def _named(classes: list[str]) -> str:
    """``class 'a'`` or ``7 classes ('a', 'b', …)``."""
    if len(classes) == 1:
        return f"class {classes[0]!r}"
    names = ", ".join(map(repr, classes[:MOST_NAMED])) + (", …" if len(classes) > MOST_NAMED else "")
    return f"{len(classes):,} classes ({names})"


def _similar(name: str, totals: dict[str, int]) -> str | None:
    """The much larger class whose name may be meant; None where there is none."""
    large = [other for other in totals if totals[name] == 1 < totals[other] or totals[name] < FEW_SHARE * totals[other]]
    near = [(distance, -totals[other], other) for other in large if (distance := _distance(name, other)) is not None]
    return min(near)[2] if near else None


def _distance(name: str, other: str) -> int | None:
    """Edits between two names of classes, 0 where only case and marks differ; None where they are not alike.

    Names that differ in digits, such as `type1` and `type2`, are no misspellings. One edit is one letter put in, taken
    out, changed, or changed with its neighbour; names of 6 letters or more may have two.
    """
    first, second = ("".join(filter(str.isalnum, text.casefold())) for text in (name, other))
    if [c for c in first if c.isdigit()] != [c for c in second if c.isdigit()]:
        return None
    shorter = min(len(first), len(second))
    most = 2 if shorter >= 6 else 1
    if shorter < 2 or abs(len(first) - len(second)) > most:
        return None
    edits = edit_distance(first, second)
    return edits if edits <= most else None


def edit_distance(first: str, second: str) -> int:
    """Optimal string alignment: insertions, deletions, substitutions, and swaps of neighbours.

    Boytsov, Indexing methods for approximate dictionary searching, 2011, section 2.2.
    """
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        before, above, row = row, before, [i, *row[1:]]
        for j, other in enumerate(second, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                row[j] = min(row[j], above[j - 2] + 1)
    return row[-1]
