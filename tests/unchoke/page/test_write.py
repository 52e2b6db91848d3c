"""The page of a run, from small results and odd names."""

import dataclasses
import json
import re
import shutil
from importlib import import_module

import numpy as np
import pytest
from page_outline import Outline
from PIL import Image
from small_results import LABEL, add_head, write_manifest

from unchoke.experiments.database import build_database
from unchoke.files import write_atomic
from unchoke.page.files import PageFiles
from unchoke.page.heads import Room
from unchoke.page.pictures import Inline
from unchoke.page.write import write_report
from unchoke.store import tables

ODD = ["ant", "<script>alert('größe & so')</script>", "猫 مرحبا नमस्ते"]
WRONG = np.where(np.arange(9) < 3, (LABEL + 1) % 3, LABEL)  # three of nine


@pytest.fixture
def files(tmp_path):
    write_manifest(tmp_path)
    add_head(
        tmp_path,
        "knn",
        val=0.75,
        predicted=WRONG,
        classes=ODD,
        chosen={"k": 9},
        history={"k": [1, 3, 9], "val_score": [0, 0, 1]},
    )
    add_head(tmp_path, "ridge", val=0.5, classes=ODD)
    build_database(tmp_path, tmp_path / "experiments.db")
    quarantine = [(3, "<b>bold</b>.png", ODD[1], "train", "not an image")]
    write_atomic(tmp_path / "quarantine.csv", tables.table_bytes(tables.QUARANTINE_COLUMNS, quarantine))
    write_atomic(tmp_path / "rates.csv", b"encoder,stage,seconds\ntiny,read,0.5\n")
    return PageFiles(
        database=tmp_path / "experiments.db",
        manifest_file=tmp_path / "manifest.csv",
        selection_file=None,
        quarantine_file=tmp_path / "quarantine.csv",
        rates_file=tmp_path / "rates.csv",
        findings_files=[],
        inspected_file=None,
        figures=tmp_path / "report",
        stores=[],
        maps={},
        kind="folder",
        root=tmp_path,
        max_pixels=10**6,
        config={"dataset": {"name": "</title><i>few"}, "cleaning": None},
    )


def add_figure(files):
    folder = files.figures / "tiny/knn"
    folder.mkdir(parents=True)
    Image.new("RGB", (120, 100)).save(folder / "confusion.png")


def text_of(files):
    page = files.results / "report.html"
    assert write_report(files, page, files.results / "entry.html") == page.stat().st_size
    return page.read_text()


def test_names_are_text_whatever_they_hold(files):
    text = text_of(files)
    for markup in ("<script>alert", "<b>bold", "<i>few"):
        assert markup not in text
    script = "&lt;script&gt;alert(&#39;größe &amp; so&#39;)&lt;/script&gt;"
    assert f"<b>ant → {script}</b>" in text and f"<b>{script} → {ODD[2]}</b>" in text


def test_one_image_in_the_quarantine_is_one(files):
    assert "1 image cannot be used. It keeps its row" in text_of(files)


def test_the_page_begins_with_verdict_and_leaderboard_and_marks_an_edge(files):
    text = text_of(files)
    order = [text.index(f'id="{name}"') for name in ("leaderboard", "mistakes", "cleaning", "heads", "provenance")]
    assert order == sorted(order) and text.index('class="verdict"') < order[0]
    assert text.count('<span class="badge edge">edge of grid</span>') == 1
    assert "is wrong on 3 of 9 test images" in text


@pytest.mark.parametrize(("p_value", "is_said"), [(0.004, True), (0.006, False)])
def test_the_verdict_says_that_test_does_not_look_like_train(files, p_value, is_said):
    """At 0.01 over val and test together, so that each is judged at 0.005."""
    told = {"images": 90, "far": 0.62, "test": {"images": 80, "accuracy": 0.9, "p_value": p_value}}
    alike = {"images": 90, "far": 0.05, "test": {"images": 80, "accuracy": 0.5, "p_value": 0.5}}
    files = dataclasses.replace(files, inspected_file=files.results / "feature_findings.json")
    write_atomic(files.inspected_file, json.dumps({"shift": {"splits": {"val": alike, "test": told}}}).encode())
    verdict = re.search('<p class="verdict">(.*?)</p>', text_of(files), re.DOTALL).group(1)
    sentence = "Test does not look like train: a classifier tells it from train in 90 % of 80 images"
    assert (sentence in verdict) == is_said and "look like train" not in verdict.replace(sentence, "")
    assert ("62 % of its images lie farther from train than 95 % of those of train." in verdict) == is_said


def test_the_verdict_is_followed_by_why_it_may_say_little(files):
    text = text_of(files)
    assert text.index('class="verdict"') < text.index("test has 9 independent images") < text.index('id="leaderboard"')


def test_a_run_without_heads_has_a_page(files):
    shutil.rmtree(files.results / "heads")
    build_database(files.results, files.database)
    text = text_of(files)
    assert "No head has been trained: the config names none." in text and 'id="provenance"' in text
    assert 'class="board"' not in text


def test_a_screen_reader_finds_its_way(files):
    outline = Outline(text_of(files))
    assert outline.open == [] and outline.landmarks == ["header", "nav", "main", "footer"]
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert max(np.diff(outline.headings)) <= 1
    assert all(image.get("alt") for image in outline.images)
    assert all(cell["scope"] in {"col", "row"} for cell in outline.cells)


def test_a_figure_is_described_by_what_it_shows(files):
    add_figure(files)
    [alt] = [image["alt"] for image in Outline(text_of(files)).images if image["alt"].startswith("Confusion")]
    pairs = [f"{ODD[true]} taken for {ODD[(true + 1) % 3]} once" for true in range(3)]
    assert alt == f"Confusion, of knn on tiny: most often {', '.join(pairs)}"


def test_the_entry_of_snakemakes_report_has_the_words_alone(files):
    add_figure(files)
    verdict = text_of(files).partition('class="verdict">')[2].partition("<")[0]
    entry = (files.results / "entry.html").read_text()
    assert verdict in entry and "is wrong on 3 of 9 test images" in entry
    assert Outline(entry).images == [] and 'href="quarantine.csv' not in entry
    assert max(np.diff(Outline(entry).headings)) <= 1


def test_the_same_files_give_the_same_bytes(files):
    assert text_of(files) == text_of(files)


def test_figures_that_do_not_fit_are_left_out_and_smaller_ones_behind_them_are_not():
    room = Room(10)
    sizes = [8, 4, 2]
    assert [room.take(Inline("x" * size, 1, 1)) is not None for size in sizes] == [True, False, True]


def test_the_command_writes_the_page(files, capsys):
    flags = [
        "--kind",
        "folder",
        "--root",
        str(files.root),
        "--max-pixels",
        "9",
        "--config",
        '{"dataset": {"name": "few"}}',
    ]
    for name in ("database", "manifest", "quarantine", "rates"):
        flags += [f"--{name}", str(getattr(files, name if name == "database" else f"{name}_file"))]
    page = files.results / "page.html"
    import_module("write_report").main(
        [*flags, "--figures", str(files.figures), "--page", str(page), "--entry", str(page.with_name("e.html"))]
    )
    assert page.read_text().startswith("<!doctype html>") and str(page) in capsys.readouterr().out
