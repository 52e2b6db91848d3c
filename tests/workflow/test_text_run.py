"""Datasets with words by real runs of Snakemake: maps are drawn once, and again only where a word was changed."""

from pathlib import Path

import pytest
from conftest import (
    BLOBS,
    MASK_CONFIG,
    Clone,
    add_blobs,
    assert_same_bytes,
    empty_clone,
    jobs,
    store_digests,
    write_image,
)
from test_promises import kill, start, wait_for
from test_report import variable

from unchoke.experiments.board import leaderboard, ranking_of
from unchoke.store.run_record import read_scores

pytestmark = pytest.mark.xdist_group("text")

LABELS = "results/words/labels.sealed.json"
TEXT_CONFIG = {
    **MASK_CONFIG,
    "dataset": {"name": "words", "kind": "text", "path": "blobs"},
    "mask_heads": {"db": {"kind": "db", "epochs": 1, "width": 4}},
}
# As soon as there is what the run is killed, with how many cores: while maps are drawn, and before words are read.
KILLS = (("labels.zarr/threshold/c/1/0/0", "2"), ("stitched/tiny/db/*", "1"))
WORD = "2,4,28,4,28,20,2,20,way\r\n"


def make_text_clone(folder: Path) -> Clone:
    """Images with a word each; one has a second word, and a third that cannot be used."""
    clone = empty_clone(Clone(folder, "words", TEXT_CONFIG))
    for name, sides in BLOBS.items():
        add_blobs(clone, name, *sides)
        words = WORD + ("100,70,130,70,130,95,100,95,far\r\n1,2,3,4,5,6,7,eight\r\n" if name == "test/large" else "")
        split, stem = name.split("/")
        write_image(clone.folder / f"blobs/gt/{split}/gt_{stem}.txt", words.encode("utf-8-sig"))
    return clone


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone after one undisturbed run, and what snakemake said."""
    clone = make_text_clone(tmp_path_factory.mktemp("drawn") / "clone with spaces")
    return clone, clone.snakemake("--cores", "2")


def test_a_run_ends_with_words_their_h_mean_and_pictures(drawn: tuple[Clone, str]) -> None:
    results = drawn[0].results
    scores = read_scores(results / "scores/tiny/db.json")
    words = [len(image["words"]) for image in scores["images"].values()]
    assert sorted(words) == [1] * 7 + [3]  # the large one has two, and the ignored place of the third
    texts = {file.name for file in (results / "text/tiny/db").iterdir()}
    assert len(texts) == len(BLOBS) and {"res_odd.txt", "res_a.txt"} < texts  # others share their names
    for figure in ("mask_curves", "text_overlays", "text_thresholds"):
        assert (results / f"report/tiny/db/{figure}.png").stat().st_size > 10_000
    assert ranking_of(results / "experiments.db") == ("detection", "h_mean")
    (row,) = leaderboard(results / "experiments.db")
    test = scores["figures"]["test"]
    assert (row["test"], row["test_recall"]) == (test["h_mean"]["value"], test["recall"]["value"])
    assert "H-mean" in (results / "report.html").read_text()


def test_a_lost_map_and_a_lost_text_file_are_made_again_and_no_other_chunk(
    drawn: tuple[Clone, str], tmp_path: Path
) -> None:
    clone = drawn[0].copy_to(tmp_path / "clone")
    before, texts = store_digests(clone), clone.results / "text/tiny/db"
    kept = {file.name: file.read_bytes() for file in texts.iterdir()}
    (clone.results / "labels.zarr/threshold/c/1/0/0").unlink()
    (texts / "res_odd.txt").unlink()
    output = clone.snakemake("--cores", "2")
    assert {rule: jobs(output, rule) for rule in ("draw_text_maps", "extract_patches_tiny", "score_text")} == {
        "draw_text_maps": 1,
        "extract_patches_tiny": 0,
        "score_text": 1,
    }
    assert store_digests(clone) == before
    assert {file.name: file.read_bytes() for file in texts.iterdir()} == kept


def test_a_run_that_was_killed_and_went_on_with_one_core_ends_in_the_same_bytes(
    drawn: tuple[Clone, str], tmp_path: Path
) -> None:
    clone = make_text_clone(tmp_path / "killed").with_own_worker()
    for made, cores in KILLS:
        run = start(clone, "--cores", cores)
        wait_for(clone, made, run)
        kill(clone, "snakemake", run)
    assert not (clone.results / "scores/tiny/db.json").exists()
    clone.snakemake("--cores", "1")
    assert_same_bytes(clone, drawn[0])


def test_snakemakes_report_has_the_figures_of_words(drawn: tuple[Clone, str]) -> None:
    clone, _ = drawn
    clone.snakemake("--report", "report.html")
    entries = variable((clone.folder / "report.html").read_text(), "results")
    said = {Path(path).name: entry["caption"] for path, entry in entries.items()}
    assert "false alarms" in said["text_overlays.png"] and "least mean probability" in said["text_thresholds.png"]


def test_maps_are_drawn_once_and_a_changed_word_draws_its_chunks_again(
    drawn: tuple[Clone, str], tmp_path: Path
) -> None:
    finished, output = drawn
    assert {rule: jobs(output, rule) for rule in ("draw_text_maps", "cut_masks")} == {
        "draw_text_maps": 7,
        "cut_masks": 0,
    }
    assert "7 numbers, then 'eight'" in (finished.results / "quarantined_words.csv").read_text()
    clone = finished.copy_to(tmp_path / "clone")
    assert jobs(clone.snakemake("--cores", "2"), "") == 0
    before = store_digests(clone)
    # The image has patches 0 to 5, four to a chunk: its far word reaches into some of either chunk.
    file = clone.folder / "blobs/gt/test/gt_large.txt"
    file.write_bytes(file.read_bytes().replace(b"130,95", b"128,95"))
    assert jobs(clone.snakemake("--cores", "2", LABELS), "draw_text_maps") == 2
    changed = {name for name, digest in store_digests(clone).items() if before.get(name) != digest}
    chunks = {f"labels.zarr/{array}/c/{chunk}/0/0" for array in ("mask", "threshold") for chunk in (0, 1)}
    rows = {f"mask_rows/{chunk}.csv" for chunk in (0, 1)}
    others = {"labels.sealed.json", "labels.zarr/zarr.json", "words.csv"}
    assert rows <= {name.removeprefix("results/words/") for name in changed} <= chunks | rows | others
