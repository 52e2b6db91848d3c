"""Datasets with words by real runs of Snakemake: maps are drawn once, and again only where a word was changed."""

from pathlib import Path

import pytest
from conftest import BLOBS, MASK_CONFIG, Clone, add_blobs, empty_clone, jobs, store_digests, write_image

from unchoke.experiments.board import leaderboard, ranking_of
from unchoke.store.run_record import read_scores

LABELS = "results/words/labels.sealed.json"
TEXT_CONFIG = {
    **MASK_CONFIG,
    "dataset": {"name": "words", "kind": "text", "path": "blobs"},
    "mask_heads": {"db": {"kind": "db", "epochs": 1, "width": 4}},
}
WORD = "2,4,28,4,28,20,2,20,way\r\n"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone after its maps were drawn, and what snakemake said; an image has two words, one cannot be used."""
    clone = empty_clone(Clone(tmp_path_factory.mktemp("drawn") / "clone with spaces", "words", TEXT_CONFIG))
    for name, sides in BLOBS.items():
        add_blobs(clone, name, *sides)
        words = WORD + ("100,70,130,70,130,95,100,95,far\r\n1,2,3,4,5,6,7,eight\r\n" if name == "test/large" else "")
        folder, stem = name.split("/")
        write_image(clone.folder / f"blobs/gt/{folder}/gt_{stem}.txt", words.encode("utf-8-sig"))
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
    others = {"labels.sealed.json", "labels.zarr/zarr.json"}
    assert rows <= {name.removeprefix("results/words/") for name in changed} <= chunks | rows | others
