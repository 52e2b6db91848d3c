"""What a run has left on disk, whole, in part, or not at all."""

import json
from pathlib import Path

import pytest

from unchoke.config.load import load_config
from unchoke.progress.closing import Images
from unchoke.progress.results import chunks_done, last_line, outcome_of, record_of, sizes_of, tail, unreadable

ENCODER = {"model": "test_resnet", "weights": "untrained"}
CONFIG = load_config(
    {
        "dataset": {"name": "few", "kind": "folder", "path": "images"},
        "chunk_size": 16,
        "chunks_per_shard": 2,
        "encoders": {"tiny": ENCODER},
    }
)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_folder_without_results_is_no_error(tmp_path: Path) -> None:
    outcome = outcome_of(CONFIG, tmp_path)
    assert (outcome.rows, outcome.images, outcome.quarantine, outcome.report) == ([], None, "", "")
    assert chunks_done(CONFIG, tmp_path) == (0, 0)
    assert sizes_of(CONFIG, tmp_path).rows == 0
    assert (tail(tmp_path / "no.log"), last_line(tmp_path / "no.log")) == ("", "")
    assert list(unreadable(tmp_path / "0.json")) == []


def test_images_are_counted_once_each(tmp_path: Path) -> None:
    write(tmp_path / "manifest.json", json.dumps({"images": 100, "chunks": 7, "excluded": {"vanished": 1}}))
    write(tmp_path / "selection.csv", "image_id,left_out,cluster\n0,,0\n1,exact_duplicate,0\n2,subset,\n5,subset,\n")
    write(
        tmp_path / "quarantine.csv",
        'image_id,path,label,split,reason\n5,"a, b",x,,broken\n6,c,x,,vanished\n7,d,x,,gone bad\n',
    )
    images = outcome_of(CONFIG, tmp_path).images
    assert images == Images(present=99, left_out=2, quarantined=2)
    assert images.used == 95
    excluded = {"vanished": 1, "no label": 20}
    write(tmp_path / "manifest.json", json.dumps({"images": 100, "chunks": 7, "excluded": excluded}))
    with (tmp_path / "quarantine.csv").open("a") as file:
        file.write("8,e,,,broken\n")
    images = outcome_of(CONFIG, tmp_path).images
    assert images == Images(present=99, left_out=2, quarantined=3, unlabelled=19) and images.used == 75


def test_a_list_of_images_to_label_is_named_while_the_config_asks_for_it(tmp_path: Path) -> None:
    write(tmp_path / "to_label.csv", "rank\n")
    subset = {"diverse": 2}
    asked = load_config({"dataset": CONFIG["dataset"], "encoders": {"tiny": ENCODER}, "subset": subset})
    assert outcome_of(asked, tmp_path).to_label == str(tmp_path / "to_label.csv")
    assert outcome_of(CONFIG, tmp_path).to_label == ""  # of an earlier config


def test_chunks_of_earlier_runs_count(tmp_path: Path) -> None:
    write(tmp_path / "manifest.json", json.dumps({"images": 100, "chunks": 7, "excluded": {"vanished": 1}}))
    for shard in (0, 3):
        write(tmp_path / f"features/tiny.zarr/valid/c/{shard}", "")
    assert chunks_done(CONFIG, tmp_path) == (2, 4 + 1)  # shards of two chunks, and one job of fingerprints


def test_sizes_follow_shards_and_the_manifest(tmp_path: Path) -> None:
    write(tmp_path / "manifest.json", json.dumps({"images": 100, "chunks": 7, "excluded": {"vanished": 1}}))
    sizes = sizes_of(CONFIG, tmp_path)
    assert [sizes.of("extract_chunk_tiny", chunk) for chunk in range(4)] == [32, 32, 32, 4]
    assert sizes.of("fingerprint_chunk", 0) == 100
    assert sizes.of("train_head", None) == 0


@pytest.mark.parametrize(
    ("output", "chunk", "record"),
    [
        ("results/few/features/b0@hflip.zarr/avg/c/17/0", "17", Path("results/few/features/b0@hflip.chunks/17.json")),
        ("results/few/manifest.csv", "", None),
        ("results/few/features/b0.zarr/zarr.json", "", None),
    ],
)
def test_the_record_of_a_chunk_lies_beside_its_store(output: str, chunk: str, record: Path | None) -> None:
    assert record_of(output, chunk) == record


def test_images_that_cannot_be_read_are_in_the_record(tmp_path: Path) -> None:
    write(
        tmp_path / "0.json",
        json.dumps({"invalid": [{"image_id": 7, "reason": "broken"}, {"image_id": 8, "reason": "vanished"}]}),
    )
    assert list(unreadable(tmp_path / "0.json")) == [7]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("first\nepoch 1\n\n", "epoch 1"),
        ("first\nepoch 1\x1b[K\repoch 2\x1b[K", "epoch 2"),
        ("a\nhalf a li", "half a li"),
        ("", ""),
    ],
)
def test_the_last_line_is_what_a_terminal_would_show(tmp_path: Path, text: str, shown: str) -> None:
    (tmp_path / "a.log").write_text(text)
    assert last_line(tmp_path / "a.log") == shown


def test_the_end_of_a_long_log_is_enough(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("ä" * 100_000 + "\nthe end\n")
    assert last_line(tmp_path / "a.log") == "the end"
