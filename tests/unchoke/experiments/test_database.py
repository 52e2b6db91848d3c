"""experiments.db: derived from the groups of heads alone, whole or not there."""

import dataclasses
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binomtest, ttest_1samp
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    log_loss,
    precision_recall_fscore_support,
)
from small_results import CLASSES, ENCODER, LABEL, add_head, seal_of, write_manifest

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.experiments import database
from unchoke.experiments.board import leaderboard
from unchoke.experiments.database import build_database
from unchoke.experiments.leaderboard import leaderboard_text
from unchoke.experiments.parts import Asked
from unchoke.experiments.repeats import read_repeat
from unchoke.files import write_atomic
from unchoke.hashing import sha256_bytes
from unchoke.metrics.evaluation import METRICS
from unchoke.names import member_name
from unchoke.pipelines.table import Row, csv_bytes
from unchoke.signed import signed_bytes
from unchoke.store.run_record import find_runs, steps_file
from unchoke.store.tables import SELECTION_COLUMNS, STEP_COLUMNS, table_bytes


def build(results: Path) -> list[Path]:
    write_manifest(results)
    return build_database(results, results / "experiments.db")


def rows(results: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(results / "experiments.db")) as connection:
        return connection.execute(query).fetchall()


def wrong(*places: int) -> np.ndarray:
    """Predictions of one replicate that are wrong in these places of test."""
    predicted = LABEL.copy()
    predicted[list(places)] = (LABEL[list(places)] + 1) % len(CLASSES)
    return predicted


# --- what is in it


def test_every_artefact_is_there_with_its_digest(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    build(tmp_path)
    artefacts = rows(tmp_path, "SELECT path, sha256 FROM artefacts")
    assert len(artefacts) == 2
    assert all(sha256_bytes(Path(path).read_bytes()) == sha256 for path, sha256 in artefacts)


def test_facts_are_kept_as_json(tmp_path: Path) -> None:
    add_head(tmp_path, "a", chosen={"k": 3})
    build(tmp_path)
    assert json.loads(rows(tmp_path, "SELECT settings FROM encoders")[0][0]) == ENCODER
    assert json.loads(rows(tmp_path, "SELECT chosen FROM runs")[0][0]) == {"k": 3}
    assert rows(tmp_path, "SELECT temperatures FROM runs") == [("[1.0]",)]
    assert rows(tmp_path, "SELECT train_images, val_images, test_images, replicates FROM runs") == [(5, 2, 9, 1)]


def test_figures_keep_their_intervals_and_what_is_unknown_is_null(tmp_path: Path) -> None:
    add_head(tmp_path, "a", val=0.6)
    build(tmp_path)
    found = rows(tmp_path, "SELECT value, low, high, sd FROM metrics WHERE split = 'val' AND name = 'accuracy'")
    assert found == [(0.6, pytest.approx(0.5), pytest.approx(0.7), None)]
    assert rows(tmp_path, "SELECT value, low, high FROM metrics WHERE name = 'auroc'") == [(None, None, None)] * 2
    assert len(rows(tmp_path, "SELECT * FROM metrics")) == 2 * len(METRICS)


def test_every_setting_that_was_tried_is_a_trial(tmp_path: Path) -> None:
    history = {"learning_rate": [0.1, 1e38], "weight_decay": [0.0, 0.5], "val_score": [0.75, None]}
    add_head(tmp_path, "a", history=history)
    build(tmp_path)
    trials = rows(tmp_path, "SELECT trial, settings, val_score FROM trials ORDER BY trial")
    assert [(trial, json.loads(settings), score) for trial, settings, score in trials] == [
        (0, {"learning_rate": 0.1, "weight_decay": 0.0}, 0.75),
        (1, {"learning_rate": 1e38, "weight_decay": 0.5}, None),
    ]


def test_the_table_of_classes_is_scikit_learns_mean_over_the_replicates(tmp_path: Path) -> None:
    predicted = np.stack([wrong(0, 3, 4), wrong(8)])
    add_head(tmp_path, "a", predicted=predicted)
    build(tmp_path)
    expected = np.mean([precision_recall_fscore_support(LABEL, row, zero_division=0)[:3] for row in predicted], 0)
    found = rows(tmp_path, "SELECT class, test_images, precision, recall, f1 FROM classes ORDER BY class")
    assert [row[0] for row in found] == CLASSES
    assert [row[1] for row in found] == np.bincount(LABEL).tolist()
    np.testing.assert_allclose(np.array([row[2:] for row in found]).T, expected)


def test_classes_have_intervals_and_what_is_unknown_is_null(tmp_path: Path) -> None:
    add_head(tmp_path, "a", predicted=np.where(LABEL == 2, 0, LABEL))
    build(tmp_path)
    names = "recall, recall_low, recall_high, recall_units, precision, precision_low, precision_units"
    query = f"SELECT {names}, precision_replicates FROM classes WHERE class = ?"
    recall = binomtest(4, 4).proportion_ci(method="wilson")
    precision = binomtest(4, 6).proportion_ci(method="wilson")
    with closing(sqlite3.connect(tmp_path / "experiments.db")) as connection:
        (ant,), (cat,) = (connection.execute(query, [name]).fetchall() for name in ("ant", "cat"))
    assert ant == pytest.approx((1, recall.low, 1, 4, 4 / 6, precision.low, 6, 1))
    assert cat[0] == 0 and cat[4:] == (None, None, 0, 0)


def test_patients_are_the_units_of_classes_and_have_their_own_accuracy(tmp_path: Path) -> None:
    add_head(tmp_path, "a", predicted=np.stack([wrong(0, 4), wrong(0)]))
    write_manifest(tmp_path, groups=["of train"] * 7 + ["one"] * 3 + ["two"] * 4 + ["", ""])
    build_database(tmp_path, tmp_path / "experiments.db")
    found = rows(tmp_path, "SELECT name, images, accuracy FROM groups ORDER BY name")
    assert found == [("one", 3, pytest.approx(2 / 3)), ("two", 4, pytest.approx(7 / 8))]
    units = rows(tmp_path, "SELECT class, test_images, recall_units FROM classes ORDER BY class")
    assert units == [("ant", 4, 3), ("bee", 3, 3), ("cat", 2, 2)]  # in "one", "two", and the last two alone
    expected = binomtest(2, 3).proportion_ci(method="wilson")
    (ends,) = rows(tmp_path, "SELECT low, high FROM groups WHERE name = 'one'")
    assert ends == pytest.approx((expected.low, expected.high))


def test_copies_are_one_unit_of_a_class_and_not_a_group_of_their_own(tmp_path: Path) -> None:
    add_head(tmp_path, "a", predicted=wrong(0))
    write_manifest(tmp_path)
    cluster = [-1] * 7 + [7, -1, -1, 7, -1, -1, -1, -1, -1]  # the first two ants
    table = [(place, "", number) for place, number in enumerate(cluster)]
    (tmp_path / "selection.csv").write_bytes(table_bytes(SELECTION_COLUMNS, table))
    build_database(tmp_path, tmp_path / "experiments.db")
    assert rows(tmp_path, "SELECT test_images, recall_units FROM classes WHERE class = 'ant'") == [(4, 3)]
    assert rows(tmp_path, "SELECT * FROM groups") == []


# --- two classes at a threshold

TWO = {
    "val_label": np.array([0] * 4 + [1] * 2),
    "val_logits": np.stack([np.zeros(6), [-2, -1, 0, 3, 1, 2]], 1)[None],
    "test_label": np.array([1, 1, 1, 0, 0, 0, 0, 0, 1]),
    "test_logits": np.stack([np.zeros(9), [1, 0, -1, 0.5, -3, -2, -1, 0, 4]], 1)[None],
}
FIGURES = "SELECT name, value, units FROM metrics WHERE name LIKE 'sens%' OR name LIKE 'spec%' ORDER BY name"


@pytest.mark.parametrize(
    ("positive", "sensitivity", "specificity"),
    [(None, (0.5, 4), (0.8, 5)), ("bee", (0.5, 4), (0.8, 5)), ("ant", (1.0, 5), (0.25, 4))],
)
def test_sensitivity_is_that_of_test_at_the_threshold_of_val(
    tmp_path: Path, positive: str | None, sensitivity: tuple[float, int], specificity: tuple[float, int]
) -> None:
    """Margins of bees: three of four ants of val have at most 0, and one of its two bees at least 2."""
    add_head(tmp_path, "a", classes=["ant", "bee"], arrays=TWO)
    write_manifest(tmp_path)
    build_database(tmp_path, tmp_path / "experiments.db", asked=Asked(0.75 if positive != "ant" else 0.5, positive))
    (first, *found), (second, *other) = rows(tmp_path, FIGURES)
    assert (first, second) == ("sensitivity_at_specificity", "specificity_reached")
    assert (tuple(found), tuple(other)) == (sensitivity, specificity)
    query = "SELECT positive, specificity, margins, val_negatives, unknown FROM operating_points"
    expected = ("ant", 0.5, "[-2.0]", 2, None) if positive == "ant" else ("bee", 0.75, "[0.0]", 4, None)
    assert rows(tmp_path, query) == [expected]


@pytest.mark.parametrize("metric", ["average_precision", "accuracy"])
@pytest.mark.parametrize("classes", [["ant", "bee"], ["bee", "ant"]])
@pytest.mark.parametrize("positive", [None, "bee", "ant"])
def test_average_precision_is_that_of_the_positive_class_everywhere(
    tmp_path: Path, positive: str | None, classes: list[str], metric: str
) -> None:
    """Of val and test, in the comparison, and on the floor. A head of other classes' order says the same."""
    place = classes.index(positive or "bee")
    truth = {split: TWO[f"{split}_label"] == place for split in ("val", "test")}
    logits = {split: TWO[f"{split}_logits"][0] * (2 * np.arange(2) - 1) for split in truth}
    scores = {split: softmax(logits[split], 1)[:, place] for split in truth}
    arrays = TWO | {f"{split}_logits": logits[split][None] for split in truth}
    other = arrays | {"test_logits": arrays["test_logits"][:, ::-1]}
    own = {split: average_precision_score(truth[split], scores[split]) for split in truth}
    known = {"value": -1.0, "low": 0.0, "high": 1.0, "sd": None, "units": 9}
    figures = {split: dict.fromkeys(METRICS, known) for split in truth}
    for name, values in (("a", arrays), ("b", other)):
        stored = {split: figures[split] | {"average_precision": known | {"value": own[split]}} for split in truth}
        facts = {"metrics": stored} if place == 1 else {"metrics": figures}
        add_head(tmp_path, name, classes=classes, arrays=values, **facts)
    write_manifest(tmp_path)
    build_database(tmp_path, tmp_path / "experiments.db", metric=metric, asked=Asked(positive=positive))
    query = "SELECT split, value FROM metrics WHERE run_id = 1 AND name = 'average_precision'"
    assert dict(rows(tmp_path, query)) == {split: pytest.approx(value) for split, value in own.items()}
    (run,) = (run for run in find_runs(tmp_path) if run.head == "a")
    assert read_repeat(run, "average_precision", 0, positive).value == pytest.approx(own["test"])
    floors = dict(rows(tmp_path, "SELECT split, value FROM floors WHERE name = 'average_precision'"))
    assert floors == {split: pytest.approx(truth[split].mean()) for split in truth}
    if metric == "average_precision":
        second = average_precision_score(truth["test"], scores["test"][::-1])
        assert comparisons(tmp_path)["b"]["difference"] == pytest.approx(second - own["test"])


def test_without_a_negative_image_on_val_there_is_no_threshold_and_the_database_says_so(tmp_path: Path) -> None:
    add_head(tmp_path, "a", classes=["ant", "bee"], arrays=TWO | {"val_label": np.ones(6)})
    write_manifest(tmp_path)
    build_database(tmp_path, tmp_path / "experiments.db", asked=Asked(0.95))
    assert [row[1:] for row in rows(tmp_path, FIGURES)] == [(None, 0)] * 2
    ((margins, why),) = rows(tmp_path, "SELECT margins, unknown FROM operating_points")
    assert (margins, why) == ("[null]", "val has no negative image, so there is no threshold")


def test_three_classes_have_no_sensitivity(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    write_manifest(tmp_path)
    build_database(tmp_path, tmp_path / "experiments.db", asked=Asked(0.95))
    assert rows(tmp_path, FIGURES) == rows(tmp_path, "SELECT * FROM operating_points") == []


@pytest.mark.parametrize("classes", [["ant", "bee"], CLASSES])
def test_a_positive_class_that_is_none_of_two_is_refused(tmp_path: Path, classes: list[str]) -> None:
    add_head(tmp_path, "a", classes=classes, arrays=TWO if len(classes) == 2 else {})
    write_manifest(tmp_path)
    with pytest.raises(UnchokeError, match=r"(?s)evaluation\.positive 'wasp'.*ant, bee"):
        build_database(tmp_path, tmp_path / "experiments.db", asked=Asked(0.95, "wasp"))


# --- comparisons


def comparisons(results: Path) -> dict[str, dict[str, Any]]:
    names = ("images", "units", "difference", "low", "high", "p_value", "best")
    query = """
        SELECT own.name, images, units, difference, low, high, p_value, best.name FROM comparisons
        JOIN runs ON runs.run_id = comparisons.run_id JOIN heads own ON own.head_id = runs.head_id
        JOIN runs other ON other.run_id = best_run_id JOIN heads best ON best.head_id = other.head_id
    """
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows(results, query)}


def test_every_run_is_compared_with_the_best_on_val_not_on_test(tmp_path: Path) -> None:
    add_head(tmp_path, "lucky", val=0.5, predicted=wrong())
    add_head(tmp_path, "best", val=0.9, predicted=wrong(0, 1, 2, 3))
    add_head(tmp_path, "third", val=0.7, predicted=wrong(3, 4))
    build(tmp_path)
    found = comparisons(tmp_path)
    assert {one["best"] for one in found.values()} == {"best"}
    assert {name: one["difference"] for name, one in found.items()} == {
        "best": 0,
        "lucky": pytest.approx(4 / 9),
        "third": pytest.approx(2 / 9),
    }
    assert (found["best"]["low"], found["best"]["high"], found["best"]["p_value"]) == (0, 0, 1)
    gained = {"lucky": [1, 1, 1, 1, 0, 0, 0, 0, 0], "third": [1, 1, 1, -1, 0, 0, 0, 0, 0]}
    for name, difference_N in gained.items():
        assert found[name]["p_value"] == pytest.approx(ttest_1samp(difference_N, 0).pvalue)
    assert 0 < found["lucky"]["low"] < 4 / 9 < found["lucky"]["high"] < 1


def test_replicates_are_compared_by_their_mean(tmp_path: Path) -> None:
    add_head(tmp_path, "best", val=0.9, predicted=wrong())
    add_head(tmp_path, "seeds", val=0.1, predicted=np.stack([wrong(0), wrong(0, 1), wrong(0, 1, 2)]))
    build(tmp_path)
    assert comparisons(tmp_path)["seeds"]["difference"] == pytest.approx(-2 / 9)


def test_images_are_paired_by_their_ids_and_only_those_of_both_count(tmp_path: Path) -> None:
    """The other head could not read the first two images, and has the rest in another order."""
    add_head(tmp_path, "best", val=0.9, predicted=wrong(0, 1, 2))
    add_head(tmp_path, "other", val=0.1, predicted=wrong(0, 8), keep=[8, 5, 4, 3, 2, 7, 6])
    build(tmp_path)
    found = comparisons(tmp_path)["other"]
    assert (found["images"], found["difference"]) == (7, 0)  # right where the best was wrong in 2, and wrong in 8
    assert found["p_value"] == 1


def test_images_of_one_group_are_one_unit(tmp_path: Path) -> None:
    add_head(tmp_path, "best", val=0.9, predicted=wrong())
    add_head(tmp_path, "other", val=0.1, predicted=wrong(0, 4))
    write_manifest(tmp_path, groups=["patient"] * 16)
    build_database(tmp_path, tmp_path / "experiments.db")
    found = comparisons(tmp_path)["other"]
    assert found["difference"] == pytest.approx(-2 / 9)
    assert (found["low"], found["high"]) == (None, None)  # one patient tells nothing of others
    write_manifest(tmp_path, groups=["first"] * 12 + ["second"] * 4)  # both mistakes are the first's, of five images
    build_database(tmp_path, tmp_path / "experiments.db")
    found = comparisons(tmp_path)["other"]
    assert (found["low"], found["high"], found["units"]) == (-1, 1, 2)  # nor do two


def test_of_equals_on_val_the_first_by_name_is_the_reference(tmp_path: Path) -> None:
    for name in ("c", "a", "b"):
        add_head(tmp_path, name, val=0.5)
    build(tmp_path)
    assert {one["best"] for one in comparisons(tmp_path).values()} == {"a"}


def test_a_head_of_the_past_without_a_common_image_is_no_obstacle(tmp_path: Path) -> None:
    add_head(tmp_path, "past", val=0.4, image_ids=list(range(7)), keep=list(range(7)))
    add_head(tmp_path, "now", val=0.9)
    build(tmp_path)
    unknown = dict.fromkeys(("units", "difference", "low", "high", "p_value")) | {"images": 0, "best": "now"}
    assert comparisons(tmp_path)["past"] == unknown
    assert len(list(leaderboard(tmp_path / "experiments.db"))) == 2


def test_told_apart_is_what_holm_leaves(tmp_path: Path) -> None:
    """A p-value that is small enough for one comparison is not for six."""
    add_head(tmp_path, "best", val=0.9)
    add_head(tmp_path, "bad", val=0.1, predicted=wrong(0, 1, 2, 3, 4))
    build(tmp_path)
    query = "SELECT head, p_value, p_adjusted, told_apart FROM leaderboard ORDER BY head"
    p = ttest_1samp([1, 1, 1, 1, 1, 0, 0, 0, 0], 0).pvalue
    assert 0.01 < p < 0.05
    assert rows(tmp_path, query) == [("bad", *[pytest.approx(p)] * 2, 1), ("best", 1, 1, 0)]
    for name in "abcde":
        add_head(tmp_path, name, val=0.2)
    build(tmp_path)
    assert rows(tmp_path, query)[2] == ("bad", pytest.approx(p), pytest.approx(6 * p), 0)


# --- whole, and no more than what is


# --- networks


def add_network(results: Path, name: str, start: str | None, **facts: Any) -> None:
    settings = {"kind": "network", "pool": "all", "start": start}
    add_head(results, name, version=versions.NETWORKS, settings=settings, store="tiny", **facts)


def test_a_network_gains_over_the_head_that_it_began_with(tmp_path: Path) -> None:
    add_head(tmp_path, "best", val=0.9)
    add_head(tmp_path, "probe", val=0.1, predicted=wrong(0, 1, 2, 3))
    add_network(tmp_path, "network", "probe", val=0.5, predicted=wrong(0))
    add_network(tmp_path, "alone", None, val=0.5)
    add_network(tmp_path, "orphan", "gone", val=0.5)
    build(tmp_path)
    ((name, start, gain, low, high),) = rows(
        tmp_path, "SELECT head, start, gain, gain_low, gain_high FROM leaderboard WHERE gain IS NOT NULL"
    )
    assert (name, start, gain) == ("network", "probe", pytest.approx(3 / 9))
    expected = ttest_1samp([0, 1, 1, 1, 0, 0, 0, 0, 0], 0).confidence_interval()
    assert (low, high) == pytest.approx((expected.low, expected.high))
    text = leaderboard_text(tmp_path / "experiments.db")
    assert f"gain of tiny network over probe, with which it began: +0.3333 ({low:+.4f} to {high:+.4f})" in text


def test_the_steps_of_a_network_are_those_of_its_members(tmp_path: Path) -> None:
    add_network(tmp_path, "network", None)
    names = [member_name(1e-3, 0, seed) for seed in (0, 7)]
    assert names[1] == "rate0.001_decay0.0_seed7"
    run = {"seconds": 1.5, "environment": {"torch": "2"}, "members": names}
    write_atomic(tmp_path / "runs/tiny/network.json", signed_bytes(run))
    for place, name in enumerate(names):
        table = [(step, 1, step / 2, 1e-3, 0.1, 640.0, 64, 900.0, 0) for step in range(1, 3 + place)]
        write_atomic(steps_file(tmp_path, "network", name), table_bytes(STEP_COLUMNS, table))
    build(tmp_path)
    assert rows(tmp_path, "SELECT replicate, count(*), sum(loss) FROM steps GROUP BY 1") == [(0, 2, 1.5), (1, 3, 3.0)]


def test_the_weights_of_a_whole_network_are_trained_here(tmp_path: Path) -> None:
    add_network(tmp_path, "whole", None)
    add_network(tmp_path, "tuned", None, encoder={**ENCODER, "trained": True})
    add_head(tmp_path, "head")
    build(tmp_path)
    found = dict(rows(tmp_path, "SELECT head, weights FROM leaderboard"))
    assert found == {"whole": "trained here", "tuned": "trained", "head": "untrained"}


def test_a_row_without_its_parent_is_refused(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    build(tmp_path)
    with closing(sqlite3.connect(tmp_path / "experiments.db")) as connection:
        assert not connection.execute("PRAGMA foreign_key_check").fetchall()
        connection.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute("INSERT INTO metrics (run_id, split, name) VALUES (99, 'test', 'accuracy')")


def test_heads_on_features_that_are_no_more_are_left_out_and_named(tmp_path: Path) -> None:
    add_head(tmp_path, "old", features_sha256={"identity": "f" * 64})
    add_head(tmp_path, "new")
    assert build(tmp_path) == [tmp_path / "heads/tiny.zarr/old"]
    assert [row["head"] for row in leaderboard(tmp_path / "experiments.db")] == ["new"]


def test_heads_that_another_version_wrote_are_left_out_and_named(tmp_path: Path) -> None:
    add_head(tmp_path, "old", version=1)
    add_head(tmp_path, "new")
    assert build(tmp_path) == [tmp_path / "heads/tiny.zarr/old"]
    assert [row["head"] for row in leaderboard(tmp_path / "experiments.db")] == ["new"]


def test_a_head_of_two_views_needs_the_features_of_both(tmp_path: Path) -> None:
    digests = {view: sha256_bytes(seal_of(tmp_path, view)) for view in ("identity", "hflip")}
    add_head(tmp_path, "views", features_sha256=digests)
    assert build(tmp_path) == []
    (tmp_path / "features/tiny@hflip.sealed.json").unlink()
    assert build(tmp_path) == [tmp_path / "heads/tiny.zarr/views"]


def test_a_run_without_heads_gives_an_empty_database(tmp_path: Path) -> None:
    assert build(tmp_path) == []
    assert list(leaderboard(tmp_path / "experiments.db")) == []


def test_pipelines_are_those_of_their_file_and_no_part_of_the_leaderboard(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    build(tmp_path)
    before = rows(tmp_path, "SELECT * FROM leaderboard")
    assert rows(tmp_path, "SELECT * FROM pipelines") == []
    of_default = Row("default", "Pillow, 2 threads", "{}", images=60, unreadable=2, warm_s=4.0, warm_images_per_s=15.0)
    found = [of_default, Row("DALI", "", images=60, differs=True, note="no card")]
    (tmp_path / "pipelines.csv").write_bytes(csv_bytes(found))
    build(tmp_path)
    names = "pipeline, settings, decoding, images, unreadable, warm_images_per_s, accuracy, differs, note"
    assert rows(tmp_path, f"SELECT {names} FROM pipelines ORDER BY rowid") == [
        ("default", "Pillow, 2 threads", "{}", 60, 2, 15.0, None, 0, None),
        ("DALI", None, None, 60, 0, None, None, 1, "no card"),
    ]
    columns = [name for (name,) in rows(tmp_path, "SELECT name FROM pragma_table_info('pipelines')")]
    assert columns == [field.name for field in dataclasses.fields(Row)]
    assert rows(tmp_path, "SELECT * FROM leaderboard") == before


@pytest.mark.parametrize(("text", "images"), [("pipeline,images,of_old\ndefault,60,1\n", 60), ("pipeline\nd\n", None)])
def test_pipelines_of_another_version_are_taken_as_far_as_they_go(
    text: str, images: int | None, tmp_path: Path
) -> None:
    (tmp_path / "pipelines.csv").write_text(text)
    build(tmp_path)
    assert rows(tmp_path, "SELECT images, cold_s FROM pipelines") == [(images, None)]


def test_pipelines_that_are_no_table_are_named(tmp_path: Path) -> None:
    (tmp_path / "pipelines.csv").write_text("")
    with pytest.raises(UnchokeError, match=r"(?s)cannot be read.*pipelines\.csv.*delete it"):
        build(tmp_path)


def test_building_twice_gives_the_same_rows(tmp_path: Path) -> None:
    for name in ("b", "a"):
        add_head(tmp_path, name)
    dumps = []
    for _ in range(2):
        build(tmp_path)
        with closing(sqlite3.connect(tmp_path / "experiments.db")) as connection:
            dumps.append(list(connection.iterdump()))
    assert dumps[0] == dumps[1]


def test_a_failed_rebuild_leaves_the_old_database(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    build(tmp_path)
    before = (tmp_path / "experiments.db").read_bytes()
    (tmp_path / "runs/tiny/a.json").write_text("{")
    with pytest.raises(UnchokeError, match=r"a\.json"):
        build(tmp_path)
    assert (tmp_path / "experiments.db").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp*"))


def test_what_a_killed_rebuild_left_is_no_hindrance(tmp_path: Path) -> None:
    for ending in ("", "-journal"):
        (tmp_path / f".experiments.db.0a1b2c3d.tmp{ending}").write_bytes(b"a part of a page")
    add_head(tmp_path, "a")
    build(tmp_path)
    with closing(sqlite3.connect(tmp_path / "experiments.db")) as connection:
        assert connection.execute("SELECT count(*) FROM heads").fetchone() == (1,)
    assert not list(tmp_path.glob(".*.tmp*"))


def test_a_full_disk_leaves_the_old_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own error, from a limit on the pages of the new database."""
    add_head(tmp_path, "a")
    build(tmp_path)
    before = (tmp_path / "experiments.db").read_bytes()
    add_head(tmp_path, "b")
    small = tmp_path / "small.sql"
    small.write_text(
        "PRAGMA max_page_count = 24;" + database.SCHEMA.read_text() + "CREATE TABLE t AS SELECT zeroblob(9e4);"
    )
    monkeypatch.setattr(database, "SCHEMA", small)
    with pytest.raises(UnchokeError, match=r"(?s)cannot be written.*full.*experiments\.db.*make room"):
        build(tmp_path)
    assert (tmp_path / "experiments.db").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp*"))


def test_a_program_that_reads_keeps_the_old_and_the_next_sees_the_new(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    build(tmp_path)
    with closing(sqlite3.connect(tmp_path / "experiments.db")) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        add_head(tmp_path, "b")
        build(tmp_path)
        assert reader.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert rows(tmp_path, "SELECT count(*) FROM runs") == [(2,)]


def test_a_program_that_writes_stops_nobody(tmp_path: Path) -> None:
    add_head(tmp_path, "a")
    build(tmp_path)
    with closing(sqlite3.connect(tmp_path / "experiments.db")) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        add_head(tmp_path, "b")
        build(tmp_path)
        writer.rollback()
    assert rows(tmp_path, "SELECT count(*) FROM runs") == [(2,)]


# --- one metric from choice to ranking


def figures_of(**values: float) -> dict[str, dict[str, Any]]:
    """Both splits with the same figures; those that are not given are 0.5."""
    each = {name: {"value": values.get(name, 0.5), "low": 0.1, "high": 0.9, "sd": None, "units": 9} for name in METRICS}
    return {"val": each, "test": each}


MAJORITY = np.where(LABEL == 2, 0, LABEL)  # overlooks the rare class
BALANCED = np.where(np.arange(9) < 2, 2, LABEL)


def ranked(results: Path, metric: str) -> list[tuple[Any, ...]]:
    add_head(
        results, "usual", predicted=MAJORITY, metrics=figures_of(accuracy=0.95, balanced_accuracy=0.527, log_loss=0.2)
    )
    add_head(
        results, "fair", predicted=BALANCED, metrics=figures_of(accuracy=0.9, balanced_accuracy=0.775, log_loss=0.1)
    )
    write_manifest(results)
    build_database(results, results / "experiments.db", metric=metric)
    return rows(
        results,
        "SELECT head, metric, val, is_best, difference, difference_low, difference_high, p_value FROM leaderboard",
    )


@pytest.mark.parametrize(
    ("metric", "order", "vals"),
    [
        ("accuracy", ["usual", "fair"], [0.95, 0.9]),
        ("balanced_accuracy", ["fair", "usual"], [0.775, 0.527]),
        ("log_loss", ["fair", "usual"], [0.1, 0.2]),
    ],
)
def test_one_metric_ranks_names_the_best_and_compares(
    metric: str, order: list[str], vals: list[float], tmp_path: Path
) -> None:
    first, second = ranked(tmp_path, metric)
    assert [first[0], second[0]] == order and [first[2], second[2]] == vals
    assert (first[1], first[3], second[3]) == (metric, 1, 0)
    predicted = {"usual": MAJORITY, "fair": BALANCED}
    by_hand = {
        "accuracy": lambda name: accuracy_score(LABEL, predicted[name]),
        "balanced_accuracy": lambda name: balanced_accuracy_score(LABEL, predicted[name]),
        "log_loss": lambda name: log_loss(LABEL, softmax(np.eye(3)[predicted[name]], axis=1)),
    }[metric]
    assert second[4] == pytest.approx(by_hand(order[1]) - by_hand(order[0]))
    assert second[5] < second[4] < second[6] and 0 < second[7] <= 1


def test_who_always_says_the_largest_class_of_train_is_the_floor(tmp_path: Path) -> None:
    """Train is of ants alone; a third of test and half of val are ants."""
    ranked(tmp_path, "balanced_accuracy")
    database = tmp_path / "experiments.db"
    found = rows(
        tmp_path, "SELECT split, name, class, value FROM floors WHERE name IN ('accuracy', 'balanced_accuracy')"
    )
    assert {(split, name): value for split, name, _, value in found} == {
        ("val", "accuracy"): 0.5,
        ("val", "balanced_accuracy"): 0.5,
        ("test", "accuracy"): pytest.approx(4 / 9),
        ("test", "balanced_accuracy"): pytest.approx(1 / 3),
    }
    assert {row[2] for row in found} == {"ant"}
    assert "(majority)" in leaderboard_text(database) and "always ant" in leaderboard_text(database)
    assert {row["head"] for row in leaderboard(database)} == {"usual", "fair"}


def test_the_floor_is_that_of_the_images_of_the_best_run(tmp_path: Path) -> None:
    """A run that saw ants alone stands first by name; the best one saw all of test."""
    ants = [place for place, label in enumerate(LABEL) if label == 0]
    add_head(tmp_path, "a", val=0.5, keep=ants)
    add_head(tmp_path, "b", val=0.9)
    build(tmp_path)
    assert rows(tmp_path, "SELECT value FROM floors WHERE split = 'test' AND name = 'accuracy'") == [
        (pytest.approx(len(ants) / len(LABEL)),)
    ]
