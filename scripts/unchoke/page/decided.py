"""What the user decided about single images, for the page of a run."""

from dataclasses import dataclass
from typing import Any

from unchoke.cleaning.decisions import RELABEL, read_decided, said
from unchoke.machine.receipts import read_json
from unchoke.page.files import PageFiles

MOST_LISTED = 100
"""Rows of the table; the user's own file has all."""


@dataclass(frozen=True)
class Decided:
    """The decisions of the user."""

    said: list[str]
    sha256: str
    """Of the user's file."""
    count: int
    rows: list[tuple[str, ...]]
    """Path, split, given label, decision with the new label, note; MOST_LISTED at most."""


def decided_of(files: PageFiles) -> Decided | None:
    """The decisions; None where the user decides about no image."""
    if files.decided_file is None:
        return None
    facts: dict[str, Any] = read_json(files.decided_file)
    decisions = read_decided(files.decided_file)
    images = files.manifest.set_index("image_id")[["path", "split", "label"]]
    rows = [
        (*images.loc[one.image_id], f"{one.decision} {one.label}".strip(), one.note) for one in decisions[:MOST_LISTED]
    ]
    return Decided(list(said(facts)), facts["sha256"], len(decisions), rows)


def changes_of_test(files: PageFiles) -> list[str]:
    """A warning where the user changed the test set."""
    if files.decided_file is None:
        return []
    counts = read_json(files.decided_file)["counts"]
    changed = {word: counts.get(word, {}).get("test", 0) for word in ("drop", RELABEL)}
    told = ", ".join(f"{word} {count:,}" for word, count in changed.items() if count)
    return [f"Your decisions change test ({told}): figures are of another test set than the given one."] if told else []
