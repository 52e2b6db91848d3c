"""The page to look at images and decide about them: a map of features, and contact sheets by rule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from unchoke.cleaning.decisions import Decision, read_decided
from unchoke.files import write_atomic
from unchoke.manifest.classes import counts_of
from unchoke.page.features import best_head, points_of, thumbnail_urls
from unchoke.page.files import PageFiles
from unchoke.page.maps import Points, draw_map
from unchoke.page.render import asset, bokeh_script, rendered
from unchoke.page.sheets import found_in_words, sheets_of
from unchoke.page.text import drawable
from unchoke.report.results import read_sample

MOST = 2000
"""Images on the map, each with a thumbnail that the page carries."""
SIDE_PX = 96


def write_review(files: PageFiles, page: Path) -> int:
    """Write the page, and return its bytes; the same files give the same bytes.

    It needs neither a server nor a network. It changes nothing: a reader saves a CSV from it.
    """
    findings, decisions = files.findings, read_decided(files.decided_file)
    sheets = sheets_of(findings, files.manifest, files.rules, decisions)
    shown = {one.image_id: one.path for sheet in sheets for group in sheet.groups for one in group}
    first = [*shown, *findings["image_id"]]
    encoder, points, of = _map(files, findings, first)
    wanted = shown | dict(zip(points.image_id, points.path, strict=True))
    of_labels = findings[findings["suggested"] != ""]
    suggested = dict(zip(of_labels["image_id"], of_labels["suggested"], strict=True))
    content = {
        "name": files.config["dataset"]["name"],
        "sheets": sheets,
        "encoder": encoder,
        "head": best_head(files, encoder),
        "plot": draw_map(points),
        "images": len(points.image_id),
        "of": of,
        "file": _file_name(files),
        "decisions": len(decisions),
        "thumbnails": dict(thumbnail_urls(files, wanted, SIDE_PX)),
        "review": _data(files, wanted.keys() | {one.image_id for one in decisions}, suggested, decisions),
        "style": asset("style.css") + asset("review.css"),
        "script": asset("page.js") + asset("review.js"),
        "bokeh": bokeh_script(),
    }
    data = rendered("review.html", content)
    write_atomic(page, data)
    return len(data)


def _file_name(files: PageFiles) -> str:
    """What the CSV of the user is called."""
    return Path(files.config["cleaning"]["decisions"] or "decisions.csv").name


def _map(files: PageFiles, findings: pd.DataFrame, first: list[int]) -> tuple[str, Points, int]:
    """The encoder whose features are mapped, its points, and how many images it could show.

    It is the one that rules look at, else that of the best head. first: images that come before all others.
    """
    inspected = files.config["cleaning"]["features"]
    encoder = inspected["encoder"] if inspected else next((row["encoder"] for row in files.rows), "")
    encoder = encoder if encoder in files.maps else next(iter(files.maps))
    store, pool = files.maps[encoder]
    x_ND, rows = read_sample(Path(store), pool, files.manifest, MOST, seed=0, train=True, first=first)
    points = points_of(files, encoder, x_ND, rows, found_in_words(findings))
    return encoder, points, int((files.manifest["excluded"] == "").sum())


def _data(files: PageFiles, ids: set[int], suggested: Mapping[int, str], decisions: list[Decision]) -> dict[str, Any]:
    """What the page's script needs to write the CSV: images by id, classes, and the decisions that there are.

    A path that no JSON can hold is empty: such an image is named by its id.
    """
    rows = files.manifest[files.manifest["image_id"].isin(ids)]
    twice = set(files.manifest["path"][files.manifest["path"].duplicated()])
    images = {
        image_id: {
            "path": path if path == drawable(path) and path not in twice else "",
            "shown": drawable(path),
            "label": label,
            "suggested": suggested.get(image_id, ""),
        }
        for image_id, path, label in rows[["image_id", "path", "label"]].itertuples(index=False)
    }
    return {
        "file": _file_name(files),
        "images": images,
        "task": files.ranking[0],
        "classes": sorted(counts_of(files.manifest, files.ranking[0])),
        "decisions": [one._asdict() for one in decisions],
    }
