"""The report of a small run, opened in a browser that has no network."""

import base64
import io
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from browser import PAGE, needs_browser, open_every_entry, visited
from conftest import REPOSITORY, Clone
from jinja2 import Environment
from PIL import Image

pytestmark = pytest.mark.xdist_group("run")

FIGURES = ("settings", "parts", "confusion", "reliability", "mistakes")
EXPECTED = {
    *(f"{page}.{kind}" for page in ("leaderboard", "quarantine", "durations") for kind in ("png", "html")),
    *(f"tiny/{head}/{figure}.png" for head in ("logistic", "neighbours") for figure in FIGURES),
    "tiny/embedding.png",
    "page.html",
}


@pytest.fixture(scope="module")
def report(finished: tuple[Clone, str]) -> str:
    """The HTML text of the report."""
    finished[0].snakemake("--report", "report.html")
    return (finished[0].folder / "report.html").read_text()


def variable(report: str, name: str) -> dict:
    """A variable that the report's scripts start from."""
    line = re.search(rf'<script id="{name}">\s*var {name} = (.*);$', report, re.MULTILINE)
    assert line, f"no variable {name}"
    return json.loads(line[1])


def entries(report: str) -> dict[str, dict]:
    """What is in the report, by its path below the folder of figures."""
    return {path.removeprefix("results/few/report/"): entry for path, entry in variable(report, "results").items()}


def test_every_figure_and_table_of_the_config_is_in_the_report(report: str) -> None:
    assert entries(report).keys() == EXPECTED
    menu = variable(report, "categories")
    assert sorted(menu) == ["0 Report", "1 Leaderboard", "2 Heads", "3 Features", "4 Quarantine", "6 Durations"]
    assert menu["2 Heads"].keys() == {"tiny · logistic", "tiny · neighbours"}


def test_every_entry_decodes_to_what_it_says_and_has_a_caption(report: str) -> None:
    for path, entry in entries(report).items():
        data = base64.b64decode(entry["data_uri"].partition("base64,")[2])
        if path.endswith(".png"):
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                assert min(image.size) >= 100, path
        else:
            assert data.decode("utf-8").startswith("<!doctype html>"), path
            assert len(entry["data_uri"]) < 2 * 2**20, path  # Chromium opens no longer address
        assert len(entry["caption"]) > 100 and "system-message" not in entry["caption"], path


def test_the_quarantine_names_the_broken_image_and_its_reason(report: str) -> None:
    page = base64.b64decode(entries(report)["quarantine.html"]["data_uri"].partition("base64,")[2]).decode()
    assert "0/broken.png" in page and "truncated" in page


def test_figures_and_page_are_the_same_bytes_when_made_again(rerun: Clone) -> None:
    before = {path: path.read_bytes() for path in rerun.results.glob("report/**/*.*")}
    assert {str(path.relative_to(rerun.results / "report")) for path in before} == EXPECTED
    page = rerun.results / "report.html"
    before[page] = page.read_bytes()
    shutil.rmtree(rerun.results / "report")
    page.unlink()
    rerun.snakemake("--cores", "2")
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("kind", ["folder", "masks"])
@pytest.mark.parametrize("cleaning", [None, {"rules": {}}])
def test_every_item_of_the_menu_is_told_in_a_line_of_its_own(kind: str, cleaning: dict | None) -> None:
    template = Environment(trim_blocks=True, lstrip_blocks=True).from_string(  # as Snakemake reads it
        (REPOSITORY / "workflow/report/workflow.rst").read_text()
    )
    told = SimpleNamespace(config={"dataset": {"name": "x", "kind": kind, "path": "x"}, "cleaning": cleaning})
    lines = template.render(snakemake=told).splitlines()
    items = [line for line in lines if "- **" in line]
    assert all(line.startswith("- **") and line.count("- **") == 1 for line in items)
    assert len(items) == 4 + (kind == "folder") + bool(cleaning)


@needs_browser
def test_a_browser_shows_every_entry_without_an_error_and_without_a_network(report: str, tmp_path: Path) -> None:
    seen = open_every_entry(report, tmp_path)
    assert {path.removeprefix("results/few/report/") for path in seen} == EXPECTED


@needs_browser
def test_the_page_sorts_and_shows_images_under_the_pointer_and_by_keyboard(
    finished: tuple[Clone, str], tmp_path: Path
) -> None:
    page = finished[0].results / "report.html"
    assert page.stat().st_size < 8_000_000
    seen = visited(page.read_text(), PAGE, tmp_path)
    assert sorted(seen["before"], reverse=True) == seen["before"]  # val, the best first
    assert seen["down"] == sorted(seen["before_test"], reverse=True) and seen["up"] == seen["down"][::-1]
    assert seen["said"] == ["descending", "ascending"]
    assert seen["hovered"]["width"] == 8 and seen["hovered"]["path"] in seen["hovered"]["text"]
    assert seen["picked"]["width"] == 8 and seen["picked"]["alt"].startswith("Image ")
    assert seen["first"] != seen["second"]  # an arrow key steps to another image
    assert seen["across"] <= 1280
