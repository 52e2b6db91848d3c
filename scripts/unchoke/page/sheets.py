"""Contact sheets of what rules of cleaning found: each image beside the ones that speak for or against it.

They hold what the user has not decided yet, so that one works through a long list sheet by sheet, run by run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from unchoke.cleaning.decisions import Decision
from unchoke.report.cleaning.contact_sheets import sample, told
from unchoke.report.cleaning.findings import DROPPED, REPORTED, rules_on, spoken

MOST = 60
"""Images on a sheet that a rule found."""
DECIDED = "decided"
"""In the place of a rule's name: the sheet of the user's decisions."""
STAYS, AGREES = "stays", "agrees"
_COPIES = "Copies stand side by side, the one that stays first."
_NOTES = {
    "mislabelled": (
        "Given label → suggested label, the surest first. The margin is the natural logarithm of how many times "
        "likelier the suggested label is. Beside each stand the nearest images that bear it."
    ),
    **dict.fromkeys(("exact_duplicate", "near_duplicate", "label_conflict", "leak", "near_in_features"), _COPIES),
}
_LETTERS = 20
_MEASURED = "Evenly spaced over the values that the rule compares."


@dataclass(frozen=True)
class Shown:
    """An image on a sheet."""

    image_id: int
    path: str
    label: str
    split: str
    state: str
    """DROPPED or REPORTED of one that the rule found; STAYS of its copy; AGREES of one with the suggested label; of one
    that the user decided about, the decision."""
    suggested: str = ""
    fact: str = ""
    """What was measured."""

    @property
    def name(self) -> str:
        """The end of the path."""
        return self.path if len(self.path) <= _LETTERS else f"…{self.path[1 - _LETTERS :]}"


@dataclass(frozen=True)
class Sheet:
    """Some of the images that a rule found."""

    rule: str
    name: str
    action: str
    """``drop`` or ``report``; empty for DECIDED."""
    note: str
    found: int
    decided: int
    """Images of those found that the user decided about; they stand on the sheet DECIDED."""
    shown: int
    """Images of the others that stand in `groups`."""
    groups: list[list[Shown]]
    """Images that belong together."""


def sheets_of(
    findings: pd.DataFrame, manifest: pd.DataFrame, rules: Mapping[str, Any], decisions: Sequence[Decision] = ()
) -> list[Sheet]:
    """A sheet for each rule that is on, in the order in which they are applied; then one of the decisions, if any.

    findings: the columns of tables.FINDING_COLUMNS. manifest: the columns of tables.MANIFEST_COLUMNS. rules: settings
    by name, None where off.
    """
    images = manifest.set_index("image_id")[["path", "label", "split"]]
    decided = {one.image_id for one in decisions}
    sheets = []
    for name in rules_on(rules):
        found = findings[findings["rule"] == name]
        left = found[~found["image_id"].isin(decided)]
        sheets.append(_sheet(name, left, len(found) - len(left), images, rules[name]["action"]))
    return [*sheets, _decided(decisions, images)] if decisions else sheets


def _sheet(name: str, left: pd.DataFrame, decided: int, images: pd.DataFrame, action: str) -> Sheet:
    measured = bool((left["value"] != "").any() or (left["cluster"] >= 0).any())
    chosen = sample(left, MOST) if measured else left.head(MOST)
    note = _NOTES.get(name, _MEASURED if measured else "")
    groups = list(_groups(chosen, images))
    return Sheet(name, spoken(name), action, note, len(left) + decided, decided, len(chosen), groups)


def _decided(decisions: Sequence[Decision], images: pd.DataFrame) -> Sheet:
    """The first of the decisions, each on its own."""
    groups = [[_beside(one.image_id, images, f"{one.decision} {one.label}".strip())] for one in decisions[:MOST]]
    return Sheet(DECIDED, "your decisions", "", "", len(decisions), 0, len(groups), groups)


def _groups(chosen: pd.DataFrame, images: pd.DataFrame) -> Iterator[list[Shown]]:
    """Copies of one cluster together, behind the one that stays; each other finding with the images that agree."""
    rows: list[dict[Any, Any]] = chosen.to_dict("records")
    clusters: dict[Any, list[dict[Any, Any]]] = {}
    for row in rows:
        key = row["cluster"] if row["cluster"] >= 0 else f"alone {row['image_id']}"
        clusters.setdefault(key, []).append(row)
    for members in clusters.values():
        stay = dict.fromkeys(row["other"] for row in members if row["other"] >= 0)
        found = {row["image_id"] for row in members}
        group = [_beside(image_id, images, STAYS) for image_id in stay if image_id not in found]
        group += [_found(row) for row in members]
        nearest = [int(text) for row in members for text in row["nearest"].split()]
        yield group + [_beside(image_id, images, AGREES) for image_id in nearest]


def _found(row: Mapping[Any, Any]) -> Shown:
    state = DROPPED if row["action"] == "drop" else REPORTED
    fact = told(row)
    if row["suggested"] or row["other"] >= 0:  # which label, or of which image, can be seen
        fact = fact.partition(", ")[2] or fact
    if row["rule"] == "odd_size":
        fact = f"{float(row['value']):,.0f} px in all"
    return Shown(row["image_id"], row["path"], row["label"], row["split"], state, row["suggested"], fact)


def _beside(image_id: int, images: pd.DataFrame, state: str) -> Shown:
    path, label, split = map(str, images.loc[image_id])
    return Shown(image_id, path, label, split, state)


def found_in_words(findings: pd.DataFrame) -> dict[int, str]:
    """By image_id all that rules found, in a line."""
    words: dict[int, list[str]] = {}
    for row in findings.to_dict("records"):
        fact = told(row)
        words.setdefault(row["image_id"], []).append(f"{spoken(row['rule'])}: {fact}" if fact else spoken(row["rule"]))
    return {image_id: "; ".join(parts) for image_id, parts in words.items()}
