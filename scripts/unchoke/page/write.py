"""The page of a run: templates filled with what the run found, in one HTML file."""

from pathlib import Path
from typing import Any

import pandas as pd

from unchoke.cells import number_in
from unchoke.experiments.board import failed_repeats
from unchoke.files import write_atomic
from unchoke.inspection.said import shifted_splits
from unchoke.manifest.classes import counts_of
from unchoke.names import CLASSIFICATION, IMAGE_TASKS, MULTILABEL, NO_LABEL, REGRESSION
from unchoke.page.board import board_of
from unchoke.page.cleaned import found_rules
from unchoke.page.decided import changes_of_test, decided_of
from unchoke.page.features import Features, feature_maps
from unchoke.page.files import PageFiles
from unchoke.page.heads import OVERLAYS, Picture, Room, figure_of, head_part
from unchoke.page.mistakes import mistakes_of
from unchoke.page.provenance import provenance_of
from unchoke.page.render import asset, bokeh_script, rendered
from unchoke.page.verdict import verdict
from unchoke.report.leaderboard import columns_of, merit_of, note_of, table_rows
from unchoke.report.points import add_points
from unchoke.report.quarantine import count_reasons
from unchoke.report.repeats import add_splits

MOST_FIGURE_BYTES = 12_000_000
"""Of figures inside the page; those of the heads behind are linked."""
MOST_LISTED = 20
"""Rows of the quarantine; the file has all."""
MOST_IN_ENTRY = 100
"""Heads on the leaderboard of the entry."""


def write_report(files: PageFiles, page: Path, entry: Path) -> int:
    """Write the page of a finished run, and return its bytes; the same files give the same bytes.

    The page links to the figures and tables beside it, and needs none of them. entry: the same page without figures
    and maps, for Snakemake's report, which has them as further entries: Chromium opens no entry above 1.5 MB.
    """
    content = _content(files)
    data = rendered("report.html", content)
    write_atomic(page, data)
    write_atomic(entry, rendered("report.html", content | _without_figures(files)))
    return len(data)


def _without_figures(files: PageFiles) -> dict[str, Any]:
    """What the entry has in place of the page's content."""
    few = board_of(files.rows[:MOST_IN_ENTRY], files.floor)
    nothing: dict[str, Any] = {
        "heads": [],
        "overlays": None,
        "figures": {},
        "bokeh": "",
        "all_figures": None,
        "links": False,
    }
    return {"board": few, "features": Features([], {}), **nothing}


def _content(files: PageFiles) -> dict[str, Any]:
    """What the template shows, by name."""
    task, metric = files.ranking
    room = Room(MOST_FIGURE_BYTES)
    heads = [head_part(files, row, room) for row in files.rows]
    features = feature_maps(files)
    return {
        "name": files.config["dataset"]["name"],
        "masks": task not in IMAGE_TASKS,
        "metric": merit_of(task, metric),
        "verdict": " ".join([verdict(files.rows, files.floor), *shifted_splits(files.inspected.get("shift"))]),
        "warnings": [*files.warnings, *changes_of_test(files)],
        "counts": _counts(files),
        "board": board_of(files.rows, files.floor),
        "remarks": files.remarks,
        "all_figures": _all_figures(files),
        "mistakes": mistakes_of(files, files.rows[0]) if files.rows and task in IMAGE_TASKS else None,
        "overlays": heads[0].figures.get(OVERLAYS.get(task, "")) if heads else None,
        "rules": found_rules(files),
        "inspected": len(files.findings_files) > 1,
        "decided": decided_of(files),
        "quarantine": _quarantine(files),
        "best": heads[0].name if heads else "",
        "heads": heads,
        "links": True,
        "features": features,
        "figures": _figures(files, room),
        "rates": files.rates,
        "provenance": provenance_of(files),
        "style": asset("style.css"),
        "script": asset("page.js"),
        "bokeh": bokeh_script() if features.maps else "",
    }


def _counts(files: PageFiles) -> dict[str, str]:
    """The run in numbers."""
    unusable = files.manifest["image_id"].isin(files.quarantine["image_id"])
    used = files.manifest[(files.manifest["excluded"] == "") & ~unusable]
    splits = used["split"].value_counts()
    of = ", ".join(f"{int(splits[split]):,} {split}" for split in ("train", "val", "test") if split in splits)
    found = {"images": f"{len(used):,} ({of})"}
    if waiting := int((files.manifest["excluded"] == NO_LABEL).sum()):
        found["without a label"] = f"{waiting:,}, which count in no figure"
    found |= _labels(used, files.ranking[0])
    found["encoders"] = ", ".join(dict.fromkeys(row["encoder"] for row in files.rows)) or "none"
    found["heads"] = f"{len(files.rows):,}, with {sum(row['trials'] for row in files.rows):,} settings tried"
    return found


def _labels(used: pd.DataFrame, task: str) -> dict[str, str]:
    """How many classes or labels there are, or between which numbers the target lies."""
    if task == REGRESSION:
        number_N = used["label"].map(number_in)
        return {"target": f"{number_N.min():.4g} to {number_N.max():.4g}"}
    counted = {CLASSIFICATION: "classes", MULTILABEL: "labels"}
    return {counted[task]: f"{len(counts_of(used, task)):,}"} if task in counted else {}


def _all_figures(files: PageFiles) -> tuple[str, Any, Any]:
    """Note, columns and cells of the table that has every figure."""
    task, metric = files.ranking
    columns = list(columns_of(task))
    table = add_points(files.rows, note_of(task, metric), columns, list(table_rows(files.rows)))
    return add_splits(files.rows, failed_repeats(files.database), table)


def _quarantine(files: PageFiles) -> dict[str, Any]:
    table = files.quarantine
    rows = table.head(MOST_LISTED)[["path", "label", "split", "reason"]].to_numpy().tolist()
    return {"count": len(table), "reasons": count_reasons(table) if len(table) else {}, "rows": rows}


def _figures(files: PageFiles, room: Room) -> dict[str, Picture]:
    """The figures that belong to no head, by name."""
    known = {
        "leaderboard": ("Leaderboard", "A line a head, a dot an encoder."),
        "cleaning/findings": ("Findings by rule", "Orange: the rule drops the image. Blue: it only reports it."),
        "cleaning/balance": ("Classes before and after cleaning", "Where shares move, a class loses more than others."),
        "cleaning/duplicates": ("Largest clusters of copies", "A row a cluster: the copy that stays is green."),
        "cleaning/measures": ("Measures", "A good threshold lies between a few odd images and the rest."),
        "cleaning/cosines": (
            "Cosines",
            "A good threshold has pairs of one image on its right, others on its left.",
        ),
        "cleaning/distances": ("Distances to train", "A split to the right of train holds images of another kind."),
        "to_label": ("Images to label", "The first of to_label.csv, in its order, with what their label may be."),
        "profile": ("Rate without each step", "Of the last `snakemake profile`; the bottleneck of a panel in orange."),
        "durations": ("Seconds by stage", "Only speeding up the bottleneck helps much."),
        "pipelines": ("Input pipelines side by side", "Of the last `snakemake compare_pipelines`: see pipelines.csv."),
    }
    drawn = {name: figure_of(files, f"{name}.png", *told, told[0], room) for name, told in known.items()}
    return {name: picture for name, picture in drawn.items() if picture}
