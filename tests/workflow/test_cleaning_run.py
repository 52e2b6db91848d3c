"""Cleaning and subsets in real runs: what goes, what is done again, and nothing lost to a kill."""

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import zarr
from browser import REVIEW, needs_browser, open_every_entry, visited
from conftest import Clone, jobs, make_clone, store_digests, write_image, write_png
from test_promises import start, wait_for

from unchoke.cleaning.decisions import read_decisions
from unchoke.sources.kinds.digits import digit_files

CLEANED = {
    "cleaning": {"chunks_per_job": 1, "rules": {"near_duplicate": {"radius": 2}}},
    "heads": {"logistic": {"kind": "logistic", "c": [0.01, 1.0]}},
}
COPIES = ("0/copy.png", "1/quote' and \"space\nand line.png", "1/größe-图.png")  # the last two in every clone
CLEANING = ("results/few/findings.csv", "results/few/selection.csv")  # all of it, and of none of the later stages
LATER = tuple(f"results/few/{name}" for name in ("features/", "heads/", "checkpoints/", "quarantine."))
PAGES = ("findings", "balance", "duplicates", "measures")
RULES_ON = (
    "unreadable",
    "exact_duplicate",
    "near_duplicate",
    "label_conflict",
    "leak",
    "dark",
    "bright",
    "blank",
    "odd_size",
)

pytestmark = pytest.mark.xdist_group("cleaning")


def make_dirty_clone(folder: Path, **sections: object) -> Clone:
    """Digits of two classes with copies, a broken file and a blank picture."""
    clone = make_clone(folder, **{**CLEANED, **sections})
    write_image(folder / "images" / COPIES[0], digit_files()["0/0010.png"])
    write_png(folder / "images/1/blank.png", np.full((8, 8), 90, np.uint8))
    return clone


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    clone = make_dirty_clone(tmp_path_factory.mktemp("cleaned") / "clone")
    return clone, clone.snakemake("--cores", "2")


@pytest.fixture
def again(cleaned: tuple[Clone, str], tmp_path: Path) -> Clone:
    return cleaned[0].copy_to(tmp_path / "clone")


def rows_of(clone: Clone, name: str) -> list[dict[str, str]]:
    with (clone.results / name).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def left_out(clone: Clone) -> dict[str, str]:
    """Why images are left out, by path, where they are."""
    manifest, selection = rows_of(clone, "manifest.csv"), rows_of(clone, "selection.csv")
    reasons = {row["path"]: chosen["left_out"] for row, chosen in zip(manifest, selection, strict=True)}
    return {path: reason for path, reason in reasons.items() if reason}


def trained_images(clone: Clone) -> dict[str, int]:
    """Images by split that the head was trained on and reports."""
    group = zarr.open_group(clone.results / "heads/tiny.zarr/logistic", mode="r")
    return dict(group.attrs["unchoke"]["images"])  # type: ignore[call-overload, index]


def test_copies_blank_and_broken_images_reach_no_head(cleaned: tuple[Clone, str]) -> None:
    clone, _ = cleaned
    reasons = left_out(clone)
    assert reasons.pop("0/broken.png") == "unreadable"
    assert reasons.pop("1/blank.png") == "blank"
    assert set(reasons.values()) == {"exact_duplicate"}
    originals = {"0/copy.png": "0/0010.png", "0/0000-copy.png": "0/0000.png"}
    originals |= {COPIES[1]: "1/0001.png", COPIES[2]: "1/0011.png"}
    assert all(len({copy, original} & set(reasons)) == 1 for copy, original in originals.items())
    assert len(reasons) == len(originals)
    gone = left_out(clone)
    splits = [row["split"] for row in rows_of(clone, "manifest.csv") if row["path"] not in gone]
    assert trained_images(clone) == {split: splits.count(split) for split in ("train", "val", "test")}
    summary = json.loads((clone.results / "cleaning.json").read_text())
    assert summary["dropped"] == {"blank": 1, "exact_duplicate": len(reasons), "unreadable": 1}


def test_a_column_of_reasons_stands_beside_the_manifest(cleaned: tuple[Clone, str]) -> None:
    clone, _ = cleaned
    column = rows_of(clone, "cleaning.csv")
    assert [row["image_id"] for row in column] == [row["image_id"] for row in rows_of(clone, "manifest.csv")]
    found: dict[str, list[str]] = {}
    for row in rows_of(clone, "findings.csv"):
        found.setdefault(row["image_id"], []).append(row["rule"])
    assert {row["image_id"]: row["reasons"].split() for row in column if row["reasons"]} == found


def test_nothing_is_done_twice(again: Clone) -> None:
    assert "Nothing to be done" in again.snakemake("--cores", "2")


def test_rules_that_report_train_no_head_and_those_that_drop_extract_nothing(again: Clone) -> None:
    """Rules about pixels and about features: first they report; then one reports no more what it dropped, one drops."""
    labels = {"encoder": "tiny", "rules": {"mislabelled": {"folds": 3, "kind": "ridge", "flipped": 0.2}}}
    labels["rules"]["near_in_features"] = {"threshold": 0.9999}  # type: ignore[index]
    rules: dict[str, object] = {"near_duplicate": {"radius": 2}, "dark": {"mean_below": 7}}
    cleaning = {"chunks_per_job": 1, "rules": rules, "features": labels}
    again.configure(**{**CLEANED, "cleaning": cleaning})
    before = again.times("features/**/*") | again.times("fingerprints*/**/*")
    output = again.snakemake("--cores", "2")
    for rule in ("clean_images", "inspect_features", "draw_cleaning", "write_report"):
        assert jobs(output, rule) == 1, rule
    assert jobs(output, "extract_chunk") == jobs(output, "fingerprint_chunk") == jobs(output, "train_head") == 0
    assert "mislabelled" in (again.results / "report.html").read_text()
    for name in ("cosines", "findings_mislabelled", "findings_near_in_features"):
        assert (again.results / f"report/cleaning/{name}.png").is_file()
    rules["blank"] = {"action": "report"}
    labels["rules"]["mislabelled"]["action"] = "drop"  # type: ignore[index]
    again.configure(**{**CLEANED, "cleaning": cleaning})
    assert jobs(again.snakemake("--cores", "2"), "train_head") == 1
    assert again.times("features/**/*") | again.times("fingerprints*/**/*") == before
    reasons = left_out(again)
    assert "blank" not in reasons.values()
    rows = rows_of(again, "feature_findings.csv")
    goes = {row["path"] for row in rows if row["action"] == "drop"}
    assert goes == {row["path"] for row in rows if row["split"] == "train"}
    assert goes == {path for path, reason in reasons.items() if reason == "mislabelled"}
    assert "Nothing to be done" in again.snakemake("--cores", "2")


def test_a_subset_is_a_line_of_the_config(again: Clone) -> None:
    whole = trained_images(again)
    again.configure(**CLEANED, subset={"fraction": 0.5})
    output = again.snakemake("--cores", "2")
    assert jobs(output, "extract_chunk") == jobs(output, "fingerprint_chunk") == 0
    manifest = {row["image_id"]: row for row in rows_of(again, "manifest.csv")}
    chosen = [manifest[row["image_id"]] for row in rows_of(again, "selection.csv") if not row["left_out"]]
    labels = [row["label"] for row in chosen if row["split"] == "train"]
    half = trained_images(again)
    assert half["train"] == len(labels) == pytest.approx(whole["train"] / 2, abs=1)
    assert {split: half[split] for split in ("val", "test")} == {split: whole[split] for split in ("val", "test")}
    assert abs(labels.count("0") - labels.count("1")) <= 3


def test_decisions_of_the_user_train_heads_again_and_nothing_else(again: Clone) -> None:
    """A blank image is kept, one is dropped, one relabelled; then an unknown label stops the run before heads."""
    kept, gone, wrong = "1/blank.png", "0/0020.png", "1/0021.png"
    file = again.folder / "decisions.csv"
    file.write_text(f"path,decision,label\n{kept},keep,\n{gone},drop,\n{wrong},relabel,0\n")
    again.configure(**{**CLEANED, "cleaning": {**CLEANED["cleaning"], "decisions": "decisions.csv"}})
    before, written = again.times("features/**/*") | again.times("fingerprints*/**/*"), file.read_bytes()
    output = again.snakemake("--cores", "2")
    done = {rule: jobs(output, rule) for rule in ("read_decisions", "select_rows", "train_head", "write_report")}
    assert done == dict.fromkeys(done, 1)
    assert [jobs(output, rule) for rule in ("build_manifest", "clean_images", "extract_chunk")] == [0, 0, 0]
    assert again.times("features/**/*") | again.times("fingerprints*/**/*") == before
    reasons = left_out(again)
    assert reasons[gone] == "dropped by decisions.csv" and kept not in reasons
    manifest = {row["path"]: row for row in rows_of(again, "manifest.csv")}
    assert manifest[wrong]["label"] == "1"
    assert rows_of(again, "selection.csv")[int(manifest[wrong]["image_id"])]["label"] == "0"
    assert "Nothing to be done" in again.snakemake("--cores", "2")
    assert file.read_bytes() == written
    file.write_text(f"path,decision,label\n{wrong},relabel,O\n")
    assert jobs(again.snakemake("--cores", "2", ok=False), "train_head") == 0
    assert "'O' is no class of the dataset" in again.logs("read_decisions")


def test_a_deleted_chunk_of_fingerprints_is_made_again_alone(again: Clone) -> None:
    before = store_digests(again)
    (again.results / "fingerprints.zarr/hashes/c/1/0").unlink()
    output = again.snakemake("--cores", "2")
    assert jobs(output, "fingerprint_chunk") == 1
    assert jobs(output, "extract_chunk") == 0
    assert store_digests(again) == before


def test_new_images_cost_their_own_fingerprints(again: Clone) -> None:
    names = sorted(digit_files())
    again.add_images([next(n for n in reversed(names) if n.startswith(f"{digit}/0")) for digit in "01"])
    output = again.snakemake("--cores", "2", *CLEANING)
    assert jobs(output, "fingerprint_chunk") == 1
    assert jobs(output, "clean_images") == 1


def test_a_run_that_was_killed_while_it_cleaned_ends_in_the_same_bytes(
    cleaned: tuple[Clone, str], tmp_path: Path
) -> None:
    clone = make_dirty_clone(tmp_path / "killed").with_own_worker()
    run = start(clone, *CLEANING)
    wait_for(clone, "fingerprints.zarr/hashes/c/1/0", run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(120)
    clone.snakemake("--cores", "2", *CLEANING)
    made, expected = store_digests(clone), store_digests(cleaned[0])
    assert {*CLEANING} < made.keys() and "results/few/fingerprints.zarr/hashes/c/1/0" in made
    assert made == {path: digest for path, digest in expected.items() if not path.startswith(LATER)}


def test_a_file_that_became_unreadable_is_named_with_its_reason(cleaned: tuple[Clone, str]) -> None:
    listed = {row["path"]: row["reason"] for row in rows_of(cleaned[0], "quarantine.csv")}
    assert set(listed) == {"0/broken.png"}
    assert "broken" in listed["0/broken.png"]


@needs_browser
def test_a_browser_shows_every_page_of_cleaning(cleaned: tuple[Clone, str], tmp_path: Path) -> None:
    clone, _ = cleaned
    clone.snakemake("--report", "report.html")
    expected = {*(f"{page}.png" for page in PAGES), "findings.html", *(f"findings_{rule}.png" for rule in RULES_ON)}
    seen = open_every_entry((clone.folder / "report.html").read_text(), tmp_path)
    folder = "results/few/report/cleaning/"
    assert {path.removeprefix(folder) for path in seen if path.startswith(folder)} == expected


@needs_browser
def test_decisions_are_made_by_key_and_button_and_saved_as_the_workflow_reads_them(
    cleaned: tuple[Clone, str], tmp_path: Path
) -> None:
    page = cleaned[0].results / "review.html"
    assert page.stat().st_size < 4_000_000
    seen = visited(page.read_text(), REVIEW, tmp_path)
    assert set(seen["pictures"]) == {8}
    assert seen["kept"][1:3] == ["keep", True] and seen["kept"][3].startswith("one ")
    assert seen["refused"] == [True, ""]
    assert seen["relabelled"][1:] == ["1", "true"] and seen["dropped"][1] is True
    assert "1 keep, 1 drop, 1 relabel" in seen["said"]
    name, text, lines = seen["saved"]
    assert name == "decisions.csv" and text == lines
    (tmp_path / name).write_text(text)
    decided = read_decisions(tmp_path / name, cleaned[0].results / "manifest.csv", tmp_path / "decided.json")
    paths = [row["path"] for row in rows_of(cleaned[0], "manifest.csv")]
    said = {paths[one["image_id"]]: (one["decision"], one["label"]) for one in decided["decisions"]}
    (kept, *_), (other, *_), (gone, _) = (seen[name] for name in ("kept", "relabelled", "dropped"))
    assert said == {kept: ("keep", ""), other: ("relabel", "1"), gone: ("drop", "")}
    assert seen["takenBack"] == ["", False] and seen["across"] <= 1280
