"""experiments.db of mask heads: derived from their groups and scores, in the tables that all heads share."""

import json
import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t
from sklearn.metrics import f1_score, jaccard_score
from small_masks import CLASSES, ENCODER, SETTINGS, SPLITS, add_mask_head, predicted_of, truth_of, write_dataset
from small_results import add_head, write_manifest

from unchoke.experiments.board import leaderboard, ranking_of
from unchoke.experiments.database import build_database
from unchoke.experiments.leaderboard import leaderboard_text
from unchoke.files import write_atomic
from unchoke.machine.receipts import read_json
from unchoke.metrics import iou
from unchoke.metrics.counts import Counts, compare_counts
from unchoke.metrics.evaluation import plain_figures
from unchoke.metrics.units import Bootstrap
from unchoke.signed import read_signed, signed_bytes
from unchoke.store.run_record import SEGMENTATION

SCRIPTS = Path(__file__).parents[3] / "scripts"
FEW = Bootstrap(resamples=200)
TEST_IDS = [image_id for image_id, split in enumerate(SPLITS) if split == "test"]


def build(results: Path, groups: list[str] | None = None) -> list[Path]:
    write_dataset(results / "data", results, groups)
    return build_database(results, results / "experiments.db", SEGMENTATION, bootstrap=FEW)


def rows(results: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(results / "experiments.db")) as connection:
        return connection.execute(query).fetchall()


def board(results: Path) -> dict[str, dict[str, Any]]:
    return {row["head"]: row for row in leaderboard(results / "experiments.db")}


def change_scores(results: Path, head: str, **changes: Any) -> None:
    path = results / f"scores/tiny/{head}.json"
    write_atomic(path, signed_bytes({**read_signed(path, "file"), **changes}))


# --- what is in it


def test_the_figures_of_the_leaderboard_are_scikit_learns_on_all_test_pixels(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "a")
    build(tmp_path)
    truth_N = np.concatenate([truth_of(image_id).ravel() for image_id in TEST_IDS])
    predicted_N = np.concatenate([predicted_of(image_id, 4).ravel() for image_id in TEST_IDS])
    row = board(tmp_path)["a"]
    assert row["test_mean_iou"] == pytest.approx(jaccard_score(truth_N, predicted_N, average="macro"))
    assert row["test_mean_dice"] == pytest.approx(f1_score(truth_N, predicted_N, average="macro"))
    assert row["test_pixel_accuracy"] == pytest.approx((truth_N == predicted_N).mean())
    assert row["test_low"] < row["test_mean_iou"] < row["test_high"]
    regions = rows(tmp_path, "SELECT class, iou, dice FROM regions WHERE split = 'test' ORDER BY class")
    scores = zip(
        jaccard_score(truth_N, predicted_N, average=None), f1_score(truth_N, predicted_N, average=None), strict=True
    )
    assert [region[0] for region in regions] == list(CLASSES)
    np.testing.assert_allclose([region[1:] for region in regions], list(scores))


def test_what_is_unknown_is_null(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "a")
    build(tmp_path)
    assert rows(tmp_path, "SELECT DISTINCT low, sd FROM metrics WHERE split = 'val'") == [(None, None)]  # one image
    assert rows(tmp_path, "SELECT count(*) FROM regions WHERE iou_low IS NULL AND split = 'val'") == [(2,)]


def test_stitching_is_kept_with_the_disagreement_over_all_images(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "a")
    build(tmp_path)
    found = rows(tmp_path, "SELECT blend, exact, reach_px, halo_px, disagreement FROM stitching")
    assert found == [("crop", 1, 21, 32, pytest.approx(sum(range(6)) / 6000))]


def test_a_receptive_field_of_the_whole_patch_and_images_of_one_patch_are_null(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "a")
    images = read_json(tmp_path / "scores/tiny/a.json")["images"]
    alone = {name: image | {"differ_px": 0, "shared_px": 0} for name, image in images.items()}
    change_scores(tmp_path, "a", images=alone, reach_px=None, exact=False, blend="gaussian")
    build(tmp_path)
    found = rows(tmp_path, "SELECT blend, exact, reach_px, disagreement FROM stitching")
    assert found == [("gaussian", 0, None, None)]


def test_the_rest_is_in_the_tables_of_all_heads(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "a")
    build(tmp_path)
    assert rows(tmp_path, "SELECT train_images, val_images, test_images, replicates, seconds FROM runs") == [
        (1, 1, 4, 2, 12.5)
    ]
    trials = rows(tmp_path, "SELECT settings, val_score FROM trials ORDER BY trial")
    assert [(json.loads(settings)["learning_rate"], score) for settings, score in trials] == [(1e-3, 0.6), (1e-2, 0.8)]
    assert rows(tmp_path, "SELECT count(*) FROM artefacts") == [(2,)]
    assert rows(tmp_path, "SELECT model, images, unreadable FROM encoders") == [("m", 12, 1)]  # one image, two chunks


def test_heads_on_pixels_need_no_features(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "unet", encoder="pixels", settings=SETTINGS | {"kind": "unet"})
    assert build(tmp_path) == []
    assert rows(tmp_path, "SELECT name, model, images FROM encoders") == [("pixels", "none", 12)]  # patches
    row = board(tmp_path)["unet"]
    assert (row["encoder"], row["pool"], row["weights"], row["kind"]) == ("pixels", "pixels", "none", "unet")
    assert "floor" not in leaderboard_text(tmp_path / "experiments.db")


def test_a_head_on_encoders_of_other_strides_is_another_row(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "a")
    add_mask_head(tmp_path, "a", encoder="large", features={**ENCODER, "pools": ["s16"]})
    build(tmp_path)
    assert {row["pool"] for row in leaderboard(tmp_path / "experiments.db")} == {"s4+s8", "s16"}


# --- comparisons


def comparisons(results: Path) -> dict[str, tuple[Any, ...]]:
    query = """
        SELECT heads.name, images, difference, low, high, best_run_id = run_id
        FROM comparisons JOIN runs USING (run_id) JOIN heads USING (head_id)
    """
    return {name: values for name, *values in rows(results, query)}


def test_every_head_is_compared_with_the_best_on_val(tmp_path: Path) -> None:
    for name, shift_px in (("best", 2), ("worse", 4), ("worst", 8)):
        add_mask_head(tmp_path, name, shift_px=shift_px)
    build(tmp_path)
    found, figures = comparisons(tmp_path), board(tmp_path)
    assert found["best"] == [4, 0, 0, 0, 1]
    for name in ("worse", "worst"):
        images, difference, low, high, is_best = found[name]
        expected = figures[name]["test_mean_iou"] - figures["best"]["test_mean_iou"]
        assert (images, difference, is_best) == (4, pytest.approx(expected), 0)
        assert low < difference < high < 0
    assert list(figures) == ["best", "worse", "worst"]
    assert [row["is_best"] for row in figures.values()] == [1, 0, 0]


def test_images_of_one_group_are_drawn_together(tmp_path: Path) -> None:
    for name, shift_px in (("best", 2), ("other", 4)):
        add_mask_head(tmp_path, name, shift_px=shift_px)
    build(tmp_path, groups=["patient"] * len(SPLITS))
    assert comparisons(tmp_path)["other"][2:4] == [None, None]  # one patient tells nothing of others


def test_only_images_that_both_predicted_count(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "best", shift_px=2)
    add_mask_head(tmp_path, "other", shift_px=4)
    images = read_json(tmp_path / "scores/tiny/other.json")["images"]
    change_scores(tmp_path, "other", images={name: images[name] for name in ("5", "1", "3")})
    build(tmp_path)
    assert comparisons(tmp_path)["other"][0] == 2
    change_scores(tmp_path, "other", images=images | {"5": images["5"] | {"unread_px": 7}})
    build(tmp_path)
    assert comparisons(tmp_path)["other"][0] == 3
    assert board(tmp_path)["other"]["test_images"] == 3
    change_scores(tmp_path, "other", images={"1": images["1"]})
    build(tmp_path)
    assert comparisons(tmp_path)["other"] == [0, None, None, None, 0]
    assert "no image in common" in leaderboard_text(tmp_path / "experiments.db")


counts_of_images = arrays(np.int64, (5, 3, 3), elements=st.integers(1, 2**40))


@given(one=counts_of_images, best=counts_of_images, seed=st.integers(0, 9))
def test_the_interval_is_that_of_images_drawn_one_by_one(one: np.ndarray, best: np.ndarray, seed: int) -> None:
    """Both heads share the truth, and with it the resamples; the oracle draws images with Python's sums."""
    groups = pd.Series([""] * 5, dtype=object)
    found = compare_counts(Counts(np.arange(5), one), Counts(np.arange(5), best), groups, Bootstrap(20, seed))
    assert found is not None
    drawn = np.random.default_rng(seed).integers(0, 5, (20, 5))
    differences = [plain_iou(one[row].sum(0)) - plain_iou(best[row].sum(0)) for row in drawn]
    assert found.difference == pytest.approx(plain_iou(one.sum(0)) - plain_iou(best.sum(0)), abs=1e-12)
    error = np.std(differences, ddof=1) * np.sqrt(5 / 4)
    if error < 1e-9:
        return  # the same in all images, up to rounding
    expected = t.interval(0.95, 4, found.difference, error)
    np.testing.assert_allclose((found.low, found.high), np.clip(expected, -1, 1), atol=1e-9)
    assert found.p_value == pytest.approx(2 * t.cdf(-abs(found.difference) / error, 4), abs=1e-9)


def plain_iou(counts_KK: np.ndarray) -> float:
    """Mean IoU of classes that are all in the truth, in Python's whole numbers."""
    table = counts_KK.tolist()
    places = range(len(table))
    shares = [table[k][k] / (sum(table[k]) + sum(table[i][k] for i in places) - table[k][k]) for k in places]
    return sum(shares) / len(shares)


def test_distances_are_kept_with_the_images_that_have_none(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "a")
    scores = read_json(tmp_path / "scores/tiny/a.json")
    for name, image in scores["images"].items():
        image["hd95_px"] = {"background": 1.5, "disc": None if name in ("2", "4") else 3.0}
    far = {"value": 3.0, "low": 2.0, "high": 4.0, "sd": 0.5}
    figures = {split: each | {f"hd95.{label}": far for label in CLASSES} for split, each in scores["figures"].items()}
    change_scores(tmp_path, "a", images=scores["images"], figures=figures)
    build(tmp_path)
    query = "SELECT class, hd95, hd95_low, hd95_high, hd95_undefined FROM regions WHERE split = 'test' ORDER BY class"
    assert rows(tmp_path, query) == [("background", 3.0, 2.0, 4.0, 0), ("disc", 3.0, 2.0, 4.0, 2)]


# --- by which mean


def false_class(results: Path, head: str, pixels: int, background: int) -> None:
    """Scores of a head whose test images have a disc that is found but for `pixels`, and none of a third class."""
    images = read_json(results / f"scores/tiny/{head}.json")["images"]
    counts = [[900 - background, background, 0], [0, 100 - pixels, pixels], [0, 0, 0]]
    images = {name: image | {"counts": counts} for name, image in images.items()}
    figures = iou.summarise(np.array([counts] * 4), None)
    named = {
        f"{name}.{label}": figure
        for name, each in figures.per_class.items()
        for label, figure in zip("abc", each, strict=True)
    }
    plain = plain_figures({**figures.figures, **named})
    change_scores(results, head, classes=list("abc"), images=images, figures={"val": plain, "test": plain})


def test_the_metric_that_is_named_ranks_and_compares(tmp_path: Path) -> None:
    """A head that names a class which is not there loses by mean_iou, and wins by mean_iou_in_truth."""
    for head, pixels, background in (("invents", 1, 0), ("sober", 0, 30)):
        add_mask_head(tmp_path, head)
        false_class(tmp_path, head, pixels, background)
    write_dataset(tmp_path / "data", tmp_path)
    invents, sober = (1 + 99 / 100) / 2, (870 / 900 + 100 / 130) / 2
    expected = {"mean_iou": (invents * 2 / 3, sober), "mean_iou_in_truth": (invents, sober)}
    for metric, (one, other) in expected.items():
        build_database(tmp_path, tmp_path / "experiments.db", SEGMENTATION, metric, bootstrap=FEW)
        found, difference = board(tmp_path), one - other
        assert [row["metric"] for row in found.values()] == [metric] * 2
        assert [found[head]["val"] for head in ("invents", "sober")] == pytest.approx([one, other])
        assert list(found) == (["invents", "sober"] if difference > 0 else ["sober", "invents"])
        worse = list(found.values())[1]
        assert worse["difference"] == pytest.approx(-abs(difference))
        assert f"({metric})" in leaderboard_text(tmp_path / "experiments.db")


def test_the_mean_over_images_stands_beside_that_of_all_pixels(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "a")
    build(tmp_path)
    pairs = [(truth_of(image_id).ravel(), predicted_of(image_id, 4).ravel()) for image_id in TEST_IDS]
    image_I = [jaccard_score(*pair, average="macro") for pair in pairs]
    row = board(tmp_path)["a"]
    assert row["test_over_images"] == pytest.approx(np.mean(image_I))
    assert row["test_over_images_sd"] == pytest.approx(np.std(image_I, ddof=1))
    assert row["test_over_images_low"] < row["test_over_images"] < row["test_over_images_high"]
    text = leaderboard_text(tmp_path / "experiments.db")
    assert f"{np.mean(image_I):.4f}  {np.std(image_I, ddof=1):.4f}" in text


# --- whole, and no more than what is


def test_a_head_without_scores_is_named_last_and_without_figures(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "a_silent", scored=False)
    add_mask_head(tmp_path, "b")
    assert build(tmp_path) == []
    assert list(board(tmp_path)) == ["b", "a_silent"]
    assert board(tmp_path)["a_silent"]["test"] is None
    line = next(line for line in leaderboard_text(tmp_path / "experiments.db").splitlines() if "a_silent" in line)
    assert line.endswith("no scores")


def test_heads_of_another_task_are_left_out_and_their_figures_are_null(tmp_path: Path) -> None:
    add_head(tmp_path, "image")
    add_mask_head(tmp_path, "mask", encoder="maps")
    other = {"classification": ("image", "mask"), SEGMENTATION: ("mask", "image")}
    for task, (head, left_out) in other.items():
        write_dataset(tmp_path / "data", tmp_path) if task == SEGMENTATION else write_manifest(tmp_path)
        (group,) = build_database(tmp_path, tmp_path / "experiments.db", task, bootstrap=FEW)
        assert group.name == left_out
        row = board(tmp_path)[head]
        assert (row["task"], row["test_accuracy"] is None) == (task, task == SEGMENTATION)
        names = ("test_mean_iou", "test_over_images", "test_pixel_accuracy", "disagreement", "blend", "exact")
        assert {row[name] is None for name in names} == {task != SEGMENTATION}
        assert row["test"] == row["test_accuracy" if task != SEGMENTATION else "test_mean_iou"] is not None


def test_heads_of_the_past_are_left_out_and_named(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "features", features_sha256={"identity": "f" * 64})
    add_mask_head(tmp_path, "version", version=0)
    add_mask_head(tmp_path, "now")
    assert {group.name for group in build(tmp_path)} == {"features", "version"}
    assert list(board(tmp_path)) == ["now"]


def test_a_run_without_heads_gives_an_empty_database(tmp_path: Path) -> None:
    assert build(tmp_path) == []
    assert ranking_of(tmp_path / "experiments.db") == (SEGMENTATION, "mean_iou")
    assert leaderboard_text(tmp_path / "experiments.db") == "No head has been trained: the config names none."


def test_building_twice_gives_the_same_rows(tmp_path: Path) -> None:
    for name in ("b", "a"):
        add_mask_head(tmp_path, name)
    dumps = []
    for _ in range(2):
        build(tmp_path)
        with closing(sqlite3.connect(tmp_path / "experiments.db")) as connection:
            assert not connection.execute("PRAGMA foreign_key_check").fetchall()
            dumps.append(list(connection.iterdump()))
    assert dumps[0] == dumps[1]


def test_every_class_keeps_its_name(tmp_path: Path) -> None:
    """Names of figures end in that of the class, which may have dots of its own."""
    add_mask_head(tmp_path, "a")
    scores = read_json(tmp_path / "scores/tiny/a.json")
    for figures in scores["figures"].values():
        for name in ("iou", "dice"):
            figures[f"{name}.grade.2"] = figures.pop(f"{name}.disc")
    change_scores(tmp_path, "a", classes=["background", "grade.2"], figures=scores["figures"])
    build(tmp_path)
    assert rows(tmp_path, "SELECT DISTINCT class FROM regions ORDER BY class") == [("background",), ("grade.2",)]


# --- the terminal


def test_the_leaderboard_of_masks_is_printed_by_both_commands(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    add_mask_head(tmp_path, "best", shift_px=2)
    add_mask_head(tmp_path, "other", settings=SETTINGS | {"kind": "decoder"})
    add_mask_head(tmp_path, "old", version=0)
    write_dataset(tmp_path / "data", tmp_path)
    database = tmp_path / "experiments.db"
    flags = ["--task", SEGMENTATION, "--results", str(tmp_path), "--database", str(database), "--resamples", "50"]
    import_module("build_database").main(flags)
    built = capsys.readouterr().out
    assert f"left out: {tmp_path / 'heads/tiny.zarr/old'}" in built
    import_module("print_leaderboard").main(["--database", str(database)])
    printed = capsys.readouterr().out
    assert built.splitlines()[1:-2] == printed.splitlines()[:-2]  # all but the count of readings
    assert ("build_database 1)" in built, "print_leaderboard 1)" in printed) == (True, True)
    header, _, best, other, *notes = printed.splitlines()
    assert header.split()[:5] == ["encoder", "head", "pool", "weights", "chosen"]
    assert "is the best on val" in best and "s4+s8" in best and " yes " in best
    assert f"{board(tmp_path)['other']['difference']:+.4f} (" in other
    assert "val, test: mean IoU" in notes[1] and "floor" in notes[-1]
