"""Heads that predict a number, then several labels, from one table: bad cells, features, figures, predictions."""

import csv
import io
import sqlite3
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import zarr
from conftest import Clone, empty_clone, jobs, write_png
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, f1_score, mean_absolute_error, r2_score

from unchoke.api.predict import predict
from unchoke.store.tables import MANIFEST_COLUMNS, read_table

IMAGES = 72
BAD = {3: "n/a", 4: "1,5", 5: "inf", 6: ""}
HEADS = {
    "ridge": {"kind": "ridge", "penalty": [1.0, 100.0]},
    "linear": {"kind": "linear", "epochs": 2, "learning_rates": [0.01], "seeds": [0, 1]},
}
FIGURES = {
    "regression": ("settings", "predicted", "mistakes"),
    "multilabel": ("settings", "areas", "parts", "mistakes"),
}

pytestmark = pytest.mark.xdist_group("targets")


def configure(clone: Clone, target: str) -> None:
    clone.configure(
        dataset={"name": "table", "kind": "csv", "path": "table.csv", "target": target, "max_bad_share": 0.1},
        chunk_size=24,
        encoders={"tiny": {"model": "test_resnet", "weights": "untrained", "image_size": 32}},
        heads=HEADS,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Clone, str]:
    """A run on numbers; a copy of it in which the target alone has changed; and what snakemake said of that."""
    first = empty_clone(Clone(tmp_path_factory.mktemp("targets") / "numbers", "table", {}))
    digits = load_digits()
    for row in range(IMAGES):
        write_png(first.folder / f"images/{row:03d}.png", np.round(digits.images[row] * (255 / 16)).astype(np.uint8))
    with (first.folder / "table.csv").open("w", newline="") as table:
        rows = ([f"images/{row:03d}.png", BAD.get(row, str(digits.target[row] % 4))] for row in range(IMAGES))
        csv.writer(table).writerows([["path", "label"], *rows])
    configure(first, "regression")
    first.snakemake("--cores", "2")
    second = first.copy_to(first.folder.parent / "labels")
    configure(second, "multilabel")
    return first, second, second.snakemake("--cores", "2")


def results(clone: Clone, head: str) -> Any:
    return zarr.open_group(clone.results / "heads/tiny.zarr" / head, mode="r")


def query(clone: Clone, text: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(clone.results / "experiments.db")) as connection:
        return connection.execute(text).fetchall()


def test_cells_without_a_number_are_in_quarantine_with_the_reason(runs: tuple[Clone, Clone, str]) -> None:
    table = list(csv.DictReader(io.StringIO((runs[0].results / "quarantine.csv").read_text())))
    said = {row["label"]: row["reason"] for row in table}
    assert said.items() >= dict.fromkeys(("n/a", "1,5", "inf"), "target is not a finite number").items()


def test_another_target_makes_no_features_anew(runs: tuple[Clone, Clone, str]) -> None:
    first, second, said = runs
    assert jobs(said, "extract_chunk") == 0
    assert jobs(said, "train_head") == len(HEADS)
    stores = [clone.times("features/**/*") for clone in (first, second)]
    assert {name: time for name, time in stores[0].items() if "/c/" in name} == {
        name: time for name, time in stores[1].items() if "/c/" in name
    }


def test_figures_in_the_database_are_scikit_learns(runs: tuple[Clone, Clone, str]) -> None:
    figures = "SELECT metrics.name, value, low, high FROM metrics JOIN runs USING (run_id) JOIN heads USING (head_id) "
    for clone, head in [(clone, head) for clone in runs[:2] for head in HEADS]:
        found = {
            name: rest for name, *rest in query(clone, f"{figures} WHERE heads.name = '{head}' AND split = 'test'")
        }
        group = results(clone, head)
        true, outputs_RNK, facts = group["test_label"][:], group["test_logits"][:], group.attrs["unchoke"]
        if clone is runs[0]:
            expected = {"mae": mean_absolute_error, "r2": r2_score}
            values = {name: np.mean([figure(true, one) for one in outputs_RNK]) for name, figure in expected.items()}
        else:
            some = true.any(0)
            cut_RK = np.array(facts["thresholds"])
            given_RNK = outputs_RNK >= cut_RK[:, None]
            precision = [average_precision_score(true[:, some], one[:, some], average="macro") for one in outputs_RNK]
            micro = [f1_score(true, given, average="micro") for given in given_RNK]
            values = {"average_precision": np.mean(precision), "micro_f1": np.mean(micro)}
        for name, value in values.items():
            assert found[name][0] == pytest.approx(value)
            assert found[name][1] < found[name][0] < found[name][2]


def test_the_leaderboard_ranks_by_the_figure_of_the_target(runs: tuple[Clone, Clone, str]) -> None:
    mae = [val for (val,) in query(runs[0], "SELECT val FROM leaderboard")]
    precision = [val for (val,) in query(runs[1], "SELECT val FROM leaderboard")]
    assert len(mae) == len(precision) == len(HEADS)
    assert mae == sorted(mae) and precision == sorted(precision, reverse=True)
    floors = [query(clone, "SELECT class FROM floors")[0][0] for clone in runs[:2]]
    train = read_table(runs[0].results / "manifest.csv", MANIFEST_COLUMNS).query("split == 'train'")["label"]
    assert float(floors[0]) == pytest.approx(train.astype(float).mean(), rel=1e-3)
    assert floors[1] == "shares of train"


@pytest.mark.parametrize("head", HEADS)
def test_predictions_from_pictures_are_those_of_the_run(head: str, runs: tuple[Clone, Clone, str]) -> None:
    for clone in runs[:2]:
        manifest = read_table(clone.results / "manifest.csv", MANIFEST_COLUMNS).set_index("image_id")
        group = results(clone, head)
        paths = [clone.folder / path for path in manifest.loc[group["test_image_id"][:].tolist(), "path"]]
        (weights,) = (clone.folder / "resources/weights").glob("*.safetensors")
        found = predict(paths, clone.results / f"checkpoints/tiny/{head}.safetensors", weights, device="cpu")
        outputs_RNK, facts = group["test_logits"][:], group.attrs["unchoke"]
        if found.number_N is not None:
            np.testing.assert_allclose(found.number_N, outputs_RNK[..., 0].mean(0), rtol=1e-4)
            assert [float(label or "nan") for label in found.labels] == pytest.approx(found.number_N.tolist())
        else:
            given_NK = (outputs_RNK >= np.array(facts["thresholds"])[:, None]).mean(0) >= 0.5
            expected = [";".join(np.array(facts["classes"])[given_K]) or ";" for given_K in given_NK]
            assert np.mean([one == other for one, other in zip(found.labels, expected, strict=True)]) > 0.9


def test_the_report_has_the_figures_of_the_target_and_no_others(runs: tuple[Clone, Clone, str]) -> None:
    for clone, target in zip(runs[:2], FIGURES, strict=True):
        drawn = {file.stem for file in (clone.results / "report/tiny/ridge").glob("*.png")}
        assert drawn >= set(FIGURES[target])
        page = (clone.results / "report.html").read_text()
        assert {"regression": "Largest errors", "multilabel": "true labels → given labels"}[target] in page
        assert "Reliability" not in page and "Confusion" not in page


def test_verify_finds_nothing_wrong(runs: tuple[Clone, Clone, str]) -> None:
    for clone in runs[:2]:
        clone.snakemake("verify", "--cores", "1")
