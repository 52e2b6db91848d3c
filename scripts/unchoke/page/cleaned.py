"""What cleaning found, by rule, with examples as pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from unchoke.page.files import PageFiles
from unchoke.page.mistakes import Tile
from unchoke.page.pictures import small_picture
from unchoke.report.cleaning.contact_sheets import place_of, sample, told
from unchoke.report.cleaning.findings import DROPPED, REPORTED, count_findings, rules_on, spoken

MOST = 6
SIDE_PX = 112


@dataclass(frozen=True)
class Rule:
    """A rule of cleaning."""

    name: str
    action: str
    """``drop`` or ``report``."""
    dropped: int
    reported: int
    tiles: list[Tile]
    """Some of the images that it found."""


def found_rules(files: PageFiles) -> list[Rule]:
    """All rules that are on, in the order in which they are applied; none where images are not cleaned."""
    if not files.findings_files:
        return []
    settings, findings = files.rules, files.findings
    counts = count_findings(findings, settings).to_dict("index")
    return [
        Rule(
            spoken(name),
            settings[name]["action"],
            counts[name][DROPPED],
            counts[name][REPORTED],
            list(_examples(files, findings[findings["rule"] == name])),
        )
        for name in rules_on(settings)
    ]


def _examples(files: PageFiles, found: pd.DataFrame) -> Iterator[Tile]:
    """Up to ``MOST`` images of one rule; an unreadable one has no picture but the reason."""
    measured = bool((found["value"] != "").any())
    shown_rows = sample(found, MOST) if measured or (found["cluster"] >= 0).any() else found.head(MOST)
    chosen: list[dict[Any, Any]] = shown_rows.to_dict("records")
    paths = [str(finding["path"]) for finding in chosen]
    for finding, path, picture in zip(chosen, paths, files.pictures(paths, SIDE_PX), strict=True):
        shown = picture if isinstance(picture, str) else small_picture(picture)
        fact = f"#{finding['image_id']} {told(finding)}".strip()
        yield Tile(shown, place_of(finding["label"], finding["split"]), (fact, path), f"Image {path}")
