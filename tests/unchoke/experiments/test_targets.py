"""experiments.db of heads that predict numbers or several labels: figures, floors, comparisons, and what they lack."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import average_precision_score, precision_recall_fscore_support
from small_results import TEST_IDS, add_head

from unchoke.experiments.database import build_database
from unchoke.experiments.leaderboard import leaderboard_text
from unchoke.files import write_atomic
from unchoke.metrics import label_sets, numbers
from unchoke.metrics.classification import written
from unchoke.metrics.evaluation import plain_figures
from unchoke.store import tables

RNG = np.random.default_rng(3)
NUMBER = RNG.normal(10, 2, 9)
HAS = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1], [0, 0], [1, 1], [1, 0]])
CUT = [[0.5, -0.5]]


def rows(results: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(results / "experiments.db")) as connection:
        return connection.execute(query).fetchall()


def write_manifest(results: Path, labels: list[str]) -> None:
    """Five images of train with these labels in turn, two of val, nine of test."""
    splits = ["train"] * 5 + ["val"] * 2 + ["test"] * 9
    table = [(n, f"{n}.png", labels[n % len(labels)], split, "", 1, 1, "") for n, split in enumerate(splits)]
    write_atomic(results / "manifest.csv", tables.table_bytes(tables.MANIFEST_COLUMNS, table))


def add(results: Path, name: str, task: str, y: np.ndarray, outputs: np.ndarray, **facts: Any) -> None:
    """A head with these outputs (N, K) on test, and the first two of them on val."""
    arrays = {"test_label": y, "val_label": y[:2], "test_logits": outputs[None], "val_logits": outputs[None, :2]}
    figures = numbers.evaluate if task == "regression" else lambda *part: label_sets.evaluate(*part, None, CUT)
    metrics = {split: plain_figures(figures(y[:n], outputs[None, :n])) for split, n in (("val", 2), ("test", 9))}
    add_head(results, name, task=task, metrics=metrics, arrays=arrays, image_ids=TEST_IDS, **facts)


def add_numbers(results: Path, **noise: float) -> dict[str, np.ndarray]:
    found = {name: (NUMBER[:, None] + RNG.normal(0, scale, (9, 1))).astype(np.float32) for name, scale in noise.items()}
    for name, outputs in found.items():
        add(results, name, "regression", NUMBER[:, None], outputs, classes=["target"])
    write_manifest(results, ["1", "2", "6"])
    build_database(results, results / "experiments.db", "regression")
    return found


def test_numbers_are_ranked_by_their_error_and_compared_in_pairs(tmp_path: Path) -> None:
    found = add_numbers(tmp_path, near=0.1, far=3.0)
    assert rows(tmp_path, "SELECT head, metric FROM leaderboard") == [("near", "mae"), ("far", "mae")]
    gap_N = np.abs(found["far"][:, 0] - NUMBER) - np.abs(found["near"][:, 0] - NUMBER)
    test = ttest_1samp(gap_N, 0)
    low, high = test.confidence_interval(0.95)
    compared = rows(tmp_path, "SELECT difference, low, high, p_value FROM comparisons WHERE run_id != best_run_id")
    assert compared == [pytest.approx((gap_N.mean(), low, high, test.pvalue))]


def test_a_head_that_says_the_mean_of_train_is_the_floor(tmp_path: Path) -> None:
    add_numbers(tmp_path, near=0.1)
    mean = np.mean([1, 2, 6, 1, 2])
    found = rows(tmp_path, "SELECT name, class, value FROM floors WHERE split = 'test' ORDER BY name")
    r2 = 1 - np.square(NUMBER - mean).sum() / np.square(NUMBER - NUMBER.mean()).sum()
    expected = [np.abs(NUMBER - mean).mean(), r2, None]
    assert [row[:2] for row in found] == [(name, "2.4") for name in ("mae", "r2", "spearman")]
    assert [row[2] for row in found] == [pytest.approx(value) if value is not None else None for value in expected]


def test_what_is_of_classes_alone_is_empty_for_numbers(tmp_path: Path) -> None:
    add_numbers(tmp_path, near=0.1)
    for table in ("classes", "groups", "operating_points"):
        assert rows(tmp_path, f"SELECT count(*) FROM {table}") == [(0,)]
    assert rows(tmp_path, "SELECT temperatures FROM runs") == [(None,)]
    text = leaderboard_text(tmp_path / "experiments.db")
    assert "(mean)" in text and "mean absolute error: the lower, the better." in text


def test_labels_have_their_figures_their_rows_and_a_floor(tmp_path: Path) -> None:
    logits = (HAS * 2 - 1 + RNG.normal(0, 1, HAS.shape)).astype(np.float32)
    add(tmp_path, "a", "multilabel", HAS.astype(np.uint8), logits, classes=["red", "wet"], thresholds=CUT)
    write_manifest(tmp_path, ["red", "red;wet", ";"])
    build_database(tmp_path, tmp_path / "experiments.db", "multilabel")
    (value,) = rows(tmp_path, "SELECT test FROM leaderboard")[0]
    assert value == pytest.approx(average_precision_score(HAS, logits, average="macro"))
    expected = precision_recall_fscore_support(HAS, logits >= np.array(CUT[0]), average=None)
    found = rows(tmp_path, "SELECT precision, recall, f1, test_images FROM classes ORDER BY class")
    np.testing.assert_allclose(np.array(found).T, expected)
    floor = dict(rows(tmp_path, "SELECT name, value FROM floors WHERE split = 'test'"))
    assert floor["average_precision"] == pytest.approx(HAS.mean(0).mean())
    assert floor["auroc"] == 0.5


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (0.25, "0.2500"), (3.2e-7, "3.2e-07"), (123456.789, "123456.7890"), (2e7, "2e+07")],
)
def test_figures_of_any_size_are_written(value: float, text: str) -> None:
    assert written(value) == text
    assert written(-value, signed=True) == (f"-{text}" if value else "-0.0000")
