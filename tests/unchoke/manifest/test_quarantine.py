"""Quarantine: every image that no head may use, with its reason, and the stop where they are too many."""

from pathlib import Path

import pandas as pd
import pytest
from small_results import fake_seal

from unchoke.errors import UnchokeError
from unchoke.manifest.quarantine import check_quarantine, list_quarantine
from unchoke.store.tables import MANIFEST_COLUMNS, frame_bytes


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    rows = [
        (
            number,
            f"{number}.png",
            "a",
            "train",
            "",
            1,
            1,
            "vanished" if number == 9 else "no label" if number == 8 else "",
        )
        for number in range(10)
    ]
    path = tmp_path / "manifest.csv"
    path.write_bytes(frame_bytes(pd.DataFrame(rows, columns=list(MANIFEST_COLUMNS)), MANIFEST_COLUMNS))
    return path


def seal(path: Path, *invalid: int) -> Path:
    path.write_bytes(fake_seal(invalid=[{"image_id": number, "reason": f"broken {number}"} for number in invalid]))
    return path


def test_reasons_of_manifest_and_of_all_encoders_meet(manifest: Path, tmp_path: Path) -> None:
    seals = [seal(tmp_path / "a.json", 1), seal(tmp_path / "b.json", 1, 3, 9)]
    listed = list_quarantine(manifest, seals, tmp_path / "q.csv")
    expected = {1: "broken 1", 3: "broken 3"}  # 8 waits for its label, and 9 vanished: neither is bad
    assert dict(zip(listed["image_id"], listed["reason"], strict=True)) == expected


def test_missing_and_empty_files_are_known_from_the_list_and_a_reader_s_reason_comes_first(
    manifest: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(manifest, keep_default_na=False)
    frame.loc[[1, 2, 3, 9], "size_bytes"] = [-1, 0, 0, -1]
    manifest.write_bytes(frame_bytes(frame, MANIFEST_COLUMNS))
    missing, empty = "no such file or directory", "empty file"
    for seals, third in (([], empty), ([seal(tmp_path / "a.json", 3)], "broken 3")):
        listed = list_quarantine(manifest, seals, tmp_path / "q.csv")
        expected = {1: missing, 2: empty, 3: third}
        assert dict(zip(listed["image_id"], listed["reason"], strict=True)) == expected


def test_the_share_counts_images_that_are_there(manifest: Path, tmp_path: Path) -> None:
    listed = list_quarantine(manifest, [seal(tmp_path / "a.json", 1, 3, 8)], tmp_path / "q.csv")
    assert listed["reason"].tolist()[2] == "broken 8"  # a broken image is one, with a label or without
    result = check_quarantine(manifest, tmp_path / "q.csv", 3 / 9, tmp_path / "q.json")
    assert (result["quarantined"], result["images"]) == (3, 9)
    with pytest.raises(UnchokeError, match=r"(?s)3 of 9 \(33.3%\).*at most 33.0%"):
        check_quarantine(manifest, tmp_path / "q.csv", 0.33, tmp_path / "never.json")
    assert not (tmp_path / "never.json").exists()
