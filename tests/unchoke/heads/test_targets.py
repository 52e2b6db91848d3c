"""Heads that predict a number or several labels, against scikit-learn, torch and NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score, f1_score, mean_absolute_error, r2_score
from small_features import make_store

from unchoke.errors import UnchokeError
from unchoke.heads.checkpoint import evaluate_head, read_checkpoint
from unchoke.heads.losses import binary_cross_entropy, squared_error
from unchoke.heads.rows import split_rows
from unchoke.heads.targets import target_of
from unchoke.heads.train import TrainedHead, predict, save_head, train_head
from unchoke.metrics.evaluation import plain_figures
from unchoke.store.read import FeatureStore
from unchoke.store.zarr_bytes import open_group

CPU = torch.device("cpu")
SPLIT = np.array(["train"] * 120 + ["val"] * 60 + ["test"] * 60)
ONE_VIEW = {"pool": "avg", "train_views": ["identity"], "test_views": ["identity"], "shots": None, "draws": 1}
DESCENT = {
    "optimizer": "adamw",
    "learning_rates": [0.003, 0.03],
    "weight_decays": [0.0],
    "seeds": [0, 1],
    "epochs": 60,
    "batch_size": 32,
    "schedule": "cosine",
    "momentum": 0.9,
    "label_smoothing": 0.0,
    "class_weights": "none",
    "keep": "last",
    "steps": None,
    "validate_every": None,
    "patience": None,
    "standardize": True,
    "precision": "float32",
    "hidden": 32,
}
KINDS: dict[str, dict[str, Any]] = {
    "ridge": {"penalty": [0.1, 10.0, 1e4], "standardize": True, "class_weights": "none"},
    "knn": {"k": [3, 10], "temperature": 0.07},
    "linear": DESCENT,
    "mlp": DESCENT,
}
X = np.random.default_rng(5).normal(0, 1, (240, 6)).astype(np.float16)
NUMBER = 1e6 + 2000 * (X[:, 0].astype(float) + X[:, 1] - 0.5 * X[:, 2]) + np.random.default_rng(6).normal(0, 100, 240)
HAS = np.stack([X[:, 0] > 0.8, X[:, 1] + X[:, 2] > 0, X[:, 3] > 0.3], 1)
CELLS = {
    "regression": [repr(float(number)) for number in NUMBER],
    "multilabel": [";".join(np.array(["far", "red", "wet"])[row]) or ";" for row in HAS],
}


def settings(kind: str, task: str, choose_by: str, **given: Any) -> dict[str, Any]:
    return {"kind": kind, "task": task, "choose_by": choose_by, **ONE_VIEW, **KINDS[kind], **given}


def manifest_of(cells: list[str]) -> pd.DataFrame:
    columns = {"image_id": range(len(cells)), "label": cells, "split": SPLIT[: len(cells)]}
    return pd.DataFrame({**columns, "group": "", "excluded": ""}, dtype=object)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FeatureStore]:
    return {"identity": make_store(tmp_path_factory.mktemp("store") / "identity.zarr", X)}


def trained(features: dict[str, FeatureStore], how: dict[str, Any], cells: list[str] | None = None) -> TrainedHead:
    return train_head(features, manifest_of(cells or CELLS[how["task"]]), how, CPU)


# --- numbers


def test_ridge_is_scikit_learns_in_units_of_the_target(features: dict[str, FeatureStore]) -> None:
    head = trained(features, settings("ridge", "regression", "mae"))
    x_ND = X.astype(np.float64)
    x_ND = (x_ND - x_ND[:120].mean(0)) / x_ND[:120].std(0)
    mae = {}
    for penalty in (0.1, 10.0, 1e4):
        model = Ridge(alpha=penalty).fit(x_ND[:120], NUMBER[:120])
        mae[penalty] = mean_absolute_error(NUMBER[120:180], model.predict(x_ND[120:180]))
        if penalty == head.fitted.chosen["penalty"]:
            np.testing.assert_allclose(head.logits_RNC["test"][0, :, 0], model.predict(x_ND[180:]), rtol=1e-7)
    assert head.fitted.chosen["penalty"] == min(mae, key=mae.__getitem__)
    assert head.fitted.history["val_score"] == pytest.approx([mae[p] for p in head.fitted.history["penalty"]], rel=1e-5)
    assert head.figures["test"]["mae"].value == pytest.approx(
        mean_absolute_error(NUMBER[180:], head.logits_RNC["test"][0, :, 0])
    )


def test_neighbours_give_the_weighted_mean_of_their_numbers(features: dict[str, FeatureStore]) -> None:
    head = trained(features, settings("knn", "regression", "r2"))
    unit_ND = X.astype(np.float64) / np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)
    cosine_NM, k = unit_ND[180:] @ unit_ND[:120].T, head.fitted.chosen["k"]
    nearest = np.argsort(-cosine_NM, 1)[:, :k]
    weight_NK = np.exp(np.take_along_axis(cosine_NM, nearest, 1) / 0.07)
    expected_N = (weight_NK * NUMBER[:120][nearest]).sum(1) / weight_NK.sum(1)
    np.testing.assert_allclose(head.logits_RNC["test"][0, :, 0], expected_N, rtol=1e-6)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("choose_by", ["mae", "r2", "spearman"])
def test_gradient_steps_come_near_least_squares(kind: str, choose_by: str, features: dict[str, FeatureStore]) -> None:
    head = trained(features, settings(kind, "regression", choose_by))
    assert head.figures["test"]["r2"].value > (0.98 if kind == "linear" else 0.9)
    assert head.figures["test"]["r2"].value == pytest.approx(
        np.mean([r2_score(NUMBER[180:], one_N1[:, 0]) for one_N1 in head.logits_RNC["test"]])
    )
    last = head.fitted.curves["val_score"][-1].mean(-1)
    assert head.fitted.history["val_score"] == pytest.approx(last.tolist(), rel=1e-4)


# --- several labels


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_found_and_thresholds_are_those_of_val(kind: str, features: dict[str, FeatureStore]) -> None:
    head = trained(features, settings(kind, "multilabel", "average_precision"))
    assert head.classes == ["far", "red", "wet"]
    figures, logits = head.figures["test"], head.logits_RNC["test"]
    assert figures["average_precision"].value > (0.8 if kind == "knn" else 0.9)
    precision = [average_precision_score(HAS[180:], one_NK, average="macro") for one_NK in logits]
    assert figures["average_precision"].value == pytest.approx(np.mean(precision))
    f1 = [
        f1_score(HAS[180:], one_NK >= np.array(cut_K), average="macro")
        for one_NK, cut_K in zip(logits, head.thresholds, strict=True)
    ]
    assert figures["macro_f1"].value == pytest.approx(np.mean(f1))


def test_losses_and_their_gradients_are_torchs() -> None:
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn((2, 3, 4, 5), generator=random).requires_grad_()  # S, L, K, B
    y_SBK = torch.randint(0, 2, (2, 5, 4), generator=random, dtype=torch.uint8)
    target = y_SBK.transpose(1, 2)[:, None].expand(-1, 3, -1, -1).float()
    for ours, theirs in (
        (squared_error, torch.nn.functional.mse_loss),
        (binary_cross_entropy, torch.nn.functional.binary_cross_entropy_with_logits),
    ):
        loss_SL, slope = ours(outputs.detach().clone(), y_SBK)
        expected = theirs(outputs, target, reduction="none").mean((2, 3))
        (gradient,) = torch.autograd.grad(expected.sum(), outputs)
        torch.testing.assert_close(loss_SL, expected.detach())
        torch.testing.assert_close(slope, gradient)


# --- both


@pytest.mark.parametrize(("task", "choose_by"), [("regression", "mae"), ("multilabel", "macro_f1")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_gives_the_same_figures_again(
    kind: str, task: str, choose_by: str, features: dict[str, FeatureStore], tmp_path: Path
) -> None:
    how = settings(kind, task, choose_by)
    head = trained(features, how)
    group, checkpoint = tmp_path / "heads/tiny.zarr/a", tmp_path / "checkpoints/tiny/a.safetensors"
    save_head(head, features, how, group, checkpoint)
    read = read_checkpoint(checkpoint)
    np.testing.assert_array_equal(read.logits(X[180:]), head.logits_RNC["test"])
    again = evaluate_head(read, features, manifest_of(CELLS[task]), "test", CPU)
    assert plain_figures(again) == plain_figures(head.figures["test"])
    facts = open_group(group).attrs["unchoke"]
    assert facts["task"] == task


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_two_views_are_averaged_as_numbers_or_probabilities(task: str) -> None:
    target, outputs = target_of({"task": task}), torch.tensor([[0.0], [2.0], [4.0], [-1.0]])
    found = target.average_views(outputs, 2)
    expected = torch.tensor([[2.0], [0.5]])
    if task == "multilabel":
        expected = torch.logit((outputs[:2].sigmoid() + outputs[2:].sigmoid()) / 2)
    torch.testing.assert_close(found, expected)


def test_a_constant_target_is_said_and_has_no_r2(features: dict[str, FeatureStore]) -> None:
    cells = ["7"] * 240
    head = trained(features, settings("ridge", "regression", "mae"), cells)
    assert head.figures["test"]["mae"].value == 0
    assert np.isnan(head.figures["test"]["r2"].value)
    assert "the target of train is constant, 7: nothing can be learnt" in head.fitted.warnings
    with pytest.raises(UnchokeError, match="undefined on val"):
        trained(features, settings("ridge", "regression", "r2"), cells)


def test_labels_of_test_alone_are_left_out_and_val_without_one_sets_no_threshold(
    features: dict[str, FeatureStore],
) -> None:
    has = HAS.copy()
    has[120:180, 0] = False
    cells = [";".join(np.array(["far", "red", "wet"])[row]) or ";" for row in has]
    cells[200] = "new"
    head = trained(features, settings("ridge", "multilabel", "average_precision"), cells)
    assert head.classes == ["far", "red", "wet"]
    assert head.thresholds[0][0] == 0
    said = " ".join(head.fitted.warnings)
    assert "labels of test that train lacks are left out: 'new'" in said
    assert "val sets no threshold for 'far'" in said


def test_one_label_is_enough(features: dict[str, FeatureStore]) -> None:
    cells = ["red" if one else ";" for one in HAS[:, 1]]
    head = trained(features, settings("ridge", "multilabel", "auroc"), cells)
    assert head.classes == ["red"]
    assert head.figures["test"]["auroc"].value > 0.95


def test_predictions_do_not_depend_on_how_many_rows_there_are(features: dict[str, FeatureStore]) -> None:
    how = settings("mlp", "regression", "mae")
    head = trained(features, how)
    _, rows = split_rows(features, manifest_of(CELLS["regression"]), how, CPU)
    np.testing.assert_array_equal(predict(head.fitted.replicates, how, rows["test"], CPU), head.logits_RNC["test"])
