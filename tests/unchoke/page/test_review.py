"""The page to look at images and decide about them, from small results and hostile names."""

import json
import re
import shutil
from importlib import import_module

import numpy as np
import pytest
from page_outline import Outline
from PIL import Image
from small_features import make_store
from small_results import add_head

from unchoke.cleaning.clean import select_rows
from unchoke.cleaning.decisions import read_decisions
from unchoke.config.cleaning import Cleaning
from unchoke.experiments.database import build_database
from unchoke.files import write_atomic
from unchoke.page.decided import changes_of_test, decided_of
from unchoke.page.files import PageFiles
from unchoke.page.review import write_review
from unchoke.report.results import read_sample
from unchoke.store import tables

HOSTILE = [
    "</script><script>alert(1)</script>.png",
    "quote\" and ' & <b>.png",
    "\u202egnp.tac.png",
    "line\nbreak,comma.png",
    "a\udcff.png",
]
PATHS = [*HOSTILE, *(f"{place}.png" for place in range(5, 16))]
LABELS = ["ant", "<i>bee</i>"] * 8
SPLITS = ["train"] * 5 + ["val"] * 2 + ["test"] * 9


@pytest.fixture
def files(tmp_path):
    """Sixteen images, of which the last cannot be read any more; 0 is probably mislabelled, 2 is a copy of 1."""
    rows = [(n, PATHS[n], LABELS[n], SPLITS[n], "", 1, 1, "") for n in range(16)]
    write_atomic(tmp_path / "manifest.csv", tables.table_bytes(tables.MANIFEST_COLUMNS, rows))
    for n in range(15):
        path = tmp_path / PATHS[n]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 9), (n * 16, 90, 0)).save(path)
    findings = [
        (0, PATHS[0], "ant", "train", "mislabelled", "report", -1, "2.5", -1, "<i>bee</i>", "1 3 5"),
        (2, PATHS[2], "ant", "train", "exact_duplicate", "drop", 1, "0", 1, "", ""),
    ]
    write_atomic(tmp_path / "findings.csv", tables.table_bytes(tables.FINDING_COLUMNS, findings))
    select_rows(tmp_path / "manifest.csv", None, {}, tmp_path / "findings.csv", None, tmp_path / "selection.csv")
    make_store(tmp_path / "tiny.zarr", np.random.default_rng(0).normal(size=(16, 6)))
    add_head(tmp_path, "knn", val=0.5)
    build_database(tmp_path, tmp_path / "experiments.db")
    rules = {"features": {"encoder": "tiny"}, "rules": {"near_duplicate": None}}
    return PageFiles(
        database=tmp_path / "experiments.db",
        manifest_file=tmp_path / "manifest.csv",
        selection_file=tmp_path / "selection.csv",
        quarantine_file=tmp_path / "quarantine.csv",
        rates_file=tmp_path / "rates.csv",
        findings_files=[tmp_path / "findings.csv"],
        inspected_file=None,
        figures=tmp_path / "report",
        stores=[],
        maps={"tiny": (str(tmp_path / "tiny.zarr"), "avg")},
        kind="folder",
        root=tmp_path,
        max_pixels=10**6,
        config={"dataset": {"name": "</title><i>few"}, "cleaning": Cleaning.model_validate(rules).model_dump()},
    )


def page_of(files):
    page = files.results / "review.html"
    assert write_review(files, page) == page.stat().st_size
    return page.read_text()


def data_of(text, name="review"):
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.DOTALL)[1])


def test_names_are_text_whatever_they_hold(files):
    text = page_of(files)
    for markup in ("<script>alert(1)", "<i>bee", "<i>few", "<b>.png"):
        assert markup not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text
    images = data_of(text)["images"]
    assert [images[str(n)]["path"] for n in range(5)] == [*PATHS[:4], ""]  # the last is no text: its id names it
    assert images["4"]["shown"] == "a\ufffd.png"


def test_each_image_has_one_thumbnail_and_those_that_are_gone_none(files):
    text = page_of(files)
    assert data_of(text, "thumbnails").keys() == {str(n) for n in range(15)}
    assert text.count("data:image/webp") == 15
    assert set(re.findall(r'data-thumb="(\d+)"', text)) == {"0", "1", "2", "3", "5"}


def test_rules_have_sheets_with_suggestions_and_copies(files):
    text = page_of(files)
    outline = Outline(text)
    assert outline.open == [] and outline.landmarks == ["header", "nav", "main"]
    assert max(np.diff(outline.headings)) <= 1 and outline.headings.count(1) == 1
    assert all(image.get("alt") for image in outline.images)
    assert "<bdi>ant</bdi> → <bdi>&lt;i&gt;bee&lt;/i&gt;</bdi>" in text and "margin 2.5" in text
    kinds = re.findall(r'<li class="(agrees|one [\w-]+)"', text)
    assert kinds == ["one stays", "one dropped", "one only", "agrees", "agrees", "agrees"]
    assert text.index('id="exact_duplicate"') < text.index('id="mislabelled"') and 'id="near_duplicate"' not in text
    assert data_of(text)["images"]["0"]["suggested"] == "<i>bee</i>"


def test_the_map_has_images_of_all_splits_with_what_was_found_and_predicted(files):
    [data] = re.findall(r'"data":\s*({"type": "map".*?\]\]})', page_of(files))
    columns = dict(json.loads(data)["entries"])
    assert columns["image_id"] == list(range(16)) and set(columns["split"]) == {"train", "val", "test"}
    assert columns["finding"] == [
        "mislabelled: rather <i>bee</i>, margin 2.5",
        "",
        "exact duplicate: copy of #1",
        *[""] * 13,
    ]
    assert columns["mark"] == [""] * 16
    assert [bool(said) for said in columns["prediction"]][7:] == [True] * 9


def test_the_page_begins_with_the_decisions_of_the_last_run(files):
    mine, decided = files.results / "mine.csv", files.results / "decisions.json"
    mine.write_text('image_id,decision,label,note\n2,keep,,"said, twice"\n9,relabel,ant,\n10,drop,,\n')
    read_decisions(mine, files.manifest_file, decided)
    select = (files.manifest_file, None, {}, files.findings_files[0], None, files.selection_file, decided)
    select_rows(*select)
    files = PageFiles(**{**vars(files), "decided_file": decided})
    text = page_of(files)
    said = [(one["image_id"], one["decision"], one["label"], one["note"]) for one in data_of(text)["decisions"]]
    assert said == [(2, "keep", "", "said, twice"), (9, "relabel", "ant", ""), (10, "drop", "", "")]
    assert re.findall(r'<li class="one ([\w-]+)" data-image="(2|9|10)"', text) == [
        ("keep", "2"),
        ("relabel", "9"),
        ("drop", "10"),
    ]
    assert "You decided about 1 of them already" in text
    assert changes_of_test(files) == [
        "Your decisions change test (drop 1, relabel 1): figures are of another test set than the given one."
    ]
    report = decided_of(files)
    assert report.rows[1] == ("9.png", "test", "<i>bee</i>", "relabel ant", "") and report.count == 3


def test_the_same_files_give_the_same_bytes_by_the_command_too(files, capsys):
    flags = ["--kind", "folder", "--root", str(files.root), "--max-pixels", "1000000"]
    flags += ["--config", json.dumps(files.config), "--maps", json.dumps(files.maps)]
    for name in ("database", "manifest", "selection", "quarantine", "rates"):
        flags += [f"--{name}", str(getattr(files, name if name == "database" else f"{name}_file"))]
    page = files.results / "other.html"
    flags += ["--figures", str(files.figures), "--findings", str(files.findings_files[0])]
    import_module("write_review").main([*flags, "--page", str(page)])
    assert page.read_text() == page_of(files) and str(page) in capsys.readouterr().out


def test_images_that_are_wanted_come_before_a_random_sample(files):
    manifest = tables.read_table(files.manifest_file, tables.MANIFEST_COLUMNS)
    store = files.root / "tiny.zarr"
    for seed in range(5):
        x_ND, rows = read_sample(store, "avg", manifest, 6, seed, train=True, first=[0, 2, 11])
        assert {0, 2, 11} < set(rows["image_id"]) and x_ND.shape == (6, 6)
        expected = np.random.default_rng(0).normal(size=(16, 6)).astype(np.float16)[rows["image_id"]]
        assert (x_ND == expected).all()
        assert rows["image_id"].is_monotonic_increasing and rows["image_id"].is_unique
    assert read_sample(store, "avg", manifest, 2, 0, train=True, first=[9, 4, 9, 1])[1]["image_id"].tolist() == [4, 9]
    assert set(read_sample(store, "avg", manifest, 6, 0, first=[0])[1]["split"]) <= {"val", "test"}


def test_where_no_image_is_in_use_and_nothing_was_found_there_is_a_page(files):
    frame = tables.read_table(files.manifest_file, tables.MANIFEST_COLUMNS).assign(label="", excluded="no label")
    write_atomic(files.manifest_file, tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    write_atomic(files.findings_files[0], tables.table_bytes(tables.FINDING_COLUMNS, []))
    shutil.rmtree(files.results / "heads")
    build_database(files.results, files.database)
    text = page_of(files)
    assert "0 of 0 images by tiny" in text and "No image was found by: unreadable, exact duplicate" in text
    assert data_of(text, "thumbnails") == {} and data_of(text)["classes"] == []
