"""All pictures of cleaning, and the page of its findings."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unchoke.cleaning.clean import followed, near_leaks
from unchoke.cleaning.measures import MEASURES
from unchoke.machine.receipts import read_json
from unchoke.manifest.classes import recorded_task
from unchoke.manifest.images import in_use
from unchoke.names import CLASSIFICATION, REGRESSION
from unchoke.report.cleaning.balance import count_classes, draw_balance
from unchoke.report.cleaning.contact_sheets import Tile, draw_reasons_sheet, draw_sheet, place_of, sample, told
from unchoke.report.cleaning.cosines import draw_cosines
from unchoke.report.cleaning.distances import draw_distances
from unchoke.report.cleaning.duplicates import count_clusters, draw_duplicates, largest_clusters, shown
from unchoke.report.cleaning.findings import COLUMNS, draw_findings, rules_on, states, table_note, table_rows
from unchoke.report.cleaning.measures import draw_measures
from unchoke.report.pages import table_page
from unchoke.report.style import plain
from unchoke.report.thumbnails import Picture
from unchoke.store.chunks import MEASURES as STORED_MEASURES
from unchoke.store.read import open_complete
from unchoke.store.tables import MANIFEST_COLUMNS, read_findings, read_selection, read_table

THUMBNAIL_PX = 200

GetPictures = Callable[[list[str]], list[Picture]]
"""Pictures of the images with these paths of the manifest."""


@dataclass(frozen=True)
class CleaningResults:
    """What cleaning found in N images."""

    manifest: pd.DataFrame
    findings: pd.DataFrame
    """The columns of tables.FINDING_COLUMNS; the action is ``drop`` only where the image went."""
    selection: pd.DataFrame
    """As from tables.read_selection."""
    measure_NM: NDArray[np.float32]
    """By image_id; M: cleaning.measures.MEASURES."""
    valid_N: NDArray[np.bool_]
    """Whether the image could be read."""
    reasons: dict[int, str]
    """Why an image could not, by image_id."""
    rules: dict[str, Any]
    """Settings by name, None where off."""
    inspected: dict[str, Any] = field(default_factory=dict)
    """The summary of rules about features; empty without."""
    task: str = CLASSIFICATION
    """What heads predict: where it is numbers, the balance is that of all images together."""


def read_cleaning(
    findings: Sequence[Path],
    manifest: Path,
    selection: Path,
    store: Path,
    rules: dict[str, Any],
    inspected: Path | None = None,
) -> CleaningResults:
    """The results of cleaning from their tables, and the measures from the store of fingerprints."""
    opened = open_complete(store)
    stored: Any = opened.group[STORED_MEASURES]
    chosen = read_selection(selection)
    return CleaningResults(
        read_table(manifest, MANIFEST_COLUMNS),
        followed(read_findings(findings), chosen),
        chosen,
        np.asarray(stored[:]),
        opened.valid(),
        {entry["image_id"]: entry["reason"] for entry in opened.seal["invalid"]},
        rules,
        read_json(inspected) if inspected else {},
        recorded_task(manifest),
    )


def draw_cleaning(results: CleaningResults, pictures: GetPictures) -> dict[str, Figure]:
    """The figures: findings, balance, measures, duplicates, ``findings_<rule>`` for each rule that is on, cosines."""
    used, rules = in_use(results.manifest), results.rules
    looked_at = used["image_id"].to_numpy()
    read = looked_at[results.valid_N[looked_at]]
    sheets = {f"findings_{rule}": _sheet(results, rule, pictures) for rule in rules_on(rules)}
    leaks = near_leaks(results.findings, results.manifest)
    return {
        "findings": draw_findings(results.findings, rules, len(used), leaks),
        "balance": draw_balance(count_classes(*_by_label(results))),
        "measures": draw_measures(results.measure_NM[read], rules),
        "duplicates": _duplicates(results, pictures),
        **_of_features(results.inspected),
        **sheets,
    }


def _by_label(results: CleaningResults) -> Iterator[pd.DataFrame]:
    """Manifest and selection, with one label for all images where labels are numbers."""
    for table in (results.manifest, results.selection):
        yield table.assign(label="all images") if results.task == REGRESSION and "label" in table else table


def _of_features(inspected: dict[str, Any]) -> dict[str, Figure]:
    """The figures of what was looked for in features."""
    drawn = {"cosines": (draw_cosines, "near_in_features"), "distances": (draw_distances, "shift")}
    return {name: draw(inspected[part]) for name, (draw, part) in drawn.items() if inspected.get(part)}


def findings_page(results: CleaningResults) -> bytes:
    """The findings as an HTML page."""
    findings, rules = results.findings, results.rules
    rows = list(table_rows(findings, results.selection, rules))
    return table_page("Findings of cleaning", table_note(findings, rules), COLUMNS, rows)


def _duplicates(results: CleaningResults, pictures: GetPictures) -> Figure:
    clusters = largest_clusters(results.findings, results.manifest, results.rules)
    shown_pictures = [pictures(shown(cluster.images)["path"].tolist()) for cluster in clusters]
    return draw_duplicates(clusters, shown_pictures, count_clusters(results.findings, results.rules))


def _sheet(results: CleaningResults, rule: str, pictures: GetPictures) -> Figure:
    found = results.findings[results.findings["rule"] == rule]
    if rule == "unreadable":
        return draw_reasons_sheet(found, results.reasons)
    chosen = sample(found)
    shown_pictures = pictures(chosen["path"].tolist())
    rows = zip(chosen.to_dict("records"), states(chosen), shown_pictures, strict=True)
    return draw_sheet([_tile(results, finding, state, picture) for finding, state, picture in rows], rule, len(found))


def _tile(results: CleaningResults, finding: dict[Any, Any], state: str, picture: Picture) -> Tile:
    measure_M = results.measure_NM[finding["image_id"]]
    width_px, height_px = (int(measure_M[MEASURES.index(name)]) for name in ("width", "height"))
    place, path = place_of(finding["label"], finding["split"]), plain(finding["path"], 27)
    fact = f"#{finding['image_id']}: {told(finding, f'{width_px} × {height_px} px')}"
    return Tile(picture, state, (place, fact, path))
