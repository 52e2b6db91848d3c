"""Manifests of images with numbers or several labels: what is left out, how they are split, and what arrays say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unchoke.errors import UnchokeError
from unchoke.manifest.classes import count_classes, label_warnings
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.manifest.repeats import draw_repeat
from unchoke.store.tables import MANIFEST_COLUMNS, read_table

SPLIT = SplitSettings(0, 0.2, 0.2)
BAD = "target is not a finite number"


def listed(folder: Path, labels: list[str], task: str, groups: list[str] | None = None) -> pd.DataFrame:
    """The manifest of a CSV with these labels."""
    folder.mkdir(exist_ok=True)
    lines = [f'{row:03d}.png,"{label}",{(groups or [""] * len(labels))[row]}' for row, label in enumerate(labels)]
    (folder / "data.csv").write_text("\n".join(["path,label,group", *lines]))
    build_manifest("csv", folder / "data.csv", None, SPLIT, 16, folder / "m.csv", folder / "rows", task=task)
    return read_table(folder / "m.csv", MANIFEST_COLUMNS)


def arrays(folder: Path, y: np.ndarray, task: str, role: str) -> list[str]:
    np.save(folder / "x.npy", np.zeros((len(y), 2, 2), np.uint8))
    np.save(folder / "y.npy", y)
    fields = {"images": {"": "x.npy"}, role: {"": "y.npy"}}
    build_manifest("npy", folder, None, SPLIT, 16, folder / "m.csv", folder / "rows", fields, task=task)
    return read_table(folder / "m.csv", MANIFEST_COLUMNS)["label"].tolist()


def test_cells_without_a_number_are_left_out_with_the_reason_and_the_cell(tmp_path: Path) -> None:
    frame = listed(tmp_path, [*map(str, range(20)), "n/a", "1,5", "inf", ""], "regression")
    assert frame["excluded"].tolist() == [""] * 20 + [BAD] * 3 + ["no label"]
    assert frame["label"].tolist()[20:] == ["n/a", "1,5", "inf", ""]


@pytest.mark.parametrize(
    ("label", "task", "said"),
    [
        ("dark", "regression", ["such as 'dark'", "leave dataset.target out"]),
        ("", "regression", ["20 × no label", "heads: {}"]),
        ("", "multilabel", ["20 × no label", "heads: {}"]),
        ("", "classification", ["no image has a label", "heads: {}"]),
    ],
)
def test_where_no_image_can_be_used_the_message_says_why_and_what_to_do(
    label: str, task: str, said: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UnchokeError) as error:
        listed(tmp_path, [label] * 20, task)
    assert all(text in str(error.value) for text in said)
    assert not (tmp_path / "m.csv").exists()


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_splits_have_their_shares_of_all_images_and_stay_when_images_come(task: str, tmp_path: Path) -> None:
    labels = [f"{row / 7}" for row in range(50)] if task == "regression" else ["a;b", "a", ";", "b", "c"] * 10
    before = listed(tmp_path, labels, task)
    assert before["split"].value_counts().to_dict() == {"train": 30, "val": 10, "test": 10}
    after = listed(tmp_path, [*labels, labels[0]], task)
    assert after["split"].tolist()[:50] == before["split"].tolist()
    drawn = draw_repeat(tmp_path / "m.csv", 1, tmp_path / "repeats/1.csv")
    assert drawn["split"].value_counts()["test"] == 10


def test_groups_stay_together(tmp_path: Path) -> None:
    frame = listed(tmp_path, [str(row) for row in range(40)], "regression", [f"g{row // 4}" for row in range(40)])
    assert frame.groupby("group")["split"].nunique().max() == 1
    assert set(frame["split"]) == {"train", "val", "test"}


def test_the_rows_files_do_not_change_with_the_target(tmp_path: Path) -> None:
    labels = [str(row % 5) for row in range(40)]
    listed(tmp_path, labels, "classification")
    rows = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in (tmp_path / "rows").iterdir()}
    for task in ("regression", "multilabel"):
        listed(tmp_path, labels, task)
        found = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in (tmp_path / "rows").iterdir()}
        assert found == rows


def test_arrays_hold_numbers_or_a_row_of_0_and_1(tmp_path: Path) -> None:
    numbers = np.arange(20) / 3
    found = arrays(tmp_path, numbers.astype(np.float64), "regression", "numbers")
    assert [float(cell) for cell in found] == numbers.tolist()
    has_NK = np.random.default_rng(0).integers(0, 2, (20, 3)).astype(np.uint8)
    expected = [";".join(str(k) for k in range(3) if has[k]) or ";" for has in has_NK]
    assert arrays(tmp_path, has_NK, "multilabel", "label_sets") == expected


def test_arrays_with_several_targets_or_other_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match="one number"):
        arrays(tmp_path, np.zeros((20, 2)), "regression", "numbers")
    with pytest.raises(UnchokeError, match="other than 0 and 1") as error:
        arrays(tmp_path, np.array([[0, 1]] * 19 + [[0, 2]]), "multilabel", "label_sets")
    assert "row 19, label 1" in str(error.value)


def test_a_constant_target_is_warned_of_and_labels_without_any_image_are_refused(tmp_path: Path) -> None:
    frame = listed(tmp_path, ["7"] * 20, "regression")
    assert label_warnings(frame, "regression") == ["all images have the same target, 7: nothing can be learnt"]
    with pytest.raises(UnchokeError, match="No image of train has a label"):
        listed(tmp_path / "none", [";"] * 20, "multilabel")


def test_labels_are_counted_each_and_numbers_are_not(tmp_path: Path) -> None:
    listed(tmp_path, ["red;round", "red", ";", "round"] * 10, "multilabel")
    found = count_classes(tmp_path / "m.csv", tmp_path / "classes.json", "multilabel")
    assert {name: sum(counts.values()) for name, counts in found["classes"].items()} == {"red": 20, "round": 20}
    listed(tmp_path, [str(row) for row in range(40)], "regression")
    found = count_classes(tmp_path / "m.csv", tmp_path / "classes.json", "regression")
    assert found == {"classes": {}, "warnings": []}


def test_numbers_and_sets_of_labels_in_the_place_of_classes_are_recognised(tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match="target to regression"):
        listed(tmp_path, [str(row / 7) for row in range(40)], "classification")
    frame = listed(tmp_path / "labels", ["red;wet", "red", "wet", "dry"] * 10, "classification")
    assert "set dataset.target to multilabel" in label_warnings(frame)[-1]
    frame = listed(tmp_path / "classes", ["3", "4.5"] * 20, "classification")
    assert label_warnings(frame) == []
