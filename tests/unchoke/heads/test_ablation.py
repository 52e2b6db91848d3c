"""Members trained together against plain PyTorch, one at a time and in float64; and trainings that are killed."""

import math
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slow_training
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from scipy.special import softmax
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    roc_auc_score,
)
from sklearn.utils.class_weight import compute_class_weight
from small_features import clouds, rows_of

from unchoke.config.heads import Linear, Mlp
from unchoke.errors import UnchokeError
from unchoke.heads import ablation
from unchoke.heads.group import Group
from unchoke.heads.rows import Rows
from unchoke.heads.train import Fitted, kind_of
from unchoke.training import resume

CPU = torch.device("cpu")
WIDTH, CLASSES = 6, 3
TRAIN, VAL = (rows_of(*clouds(counts, WIDTH, seed)) for counts, seed in (([40, 25, 10], 1), ([30, 30, 20], 2)))
BASE = {"learning_rates": [0.003, 0.03, 0.1], "weight_decays": [0.0, 0.01], "seeds": [0, 3]}
SMALL = {**BASE, "epochs": 4, "batch_size": 16}
SGD = {"optimizer": "sgd", "momentum": 0.8}


pytestmark = pytest.mark.usefixtures("one_thread")


def settings_of(kind: str, **given: Any) -> dict[str, Any]:
    section = (
        Linear(kind="linear", **{"choose_by": "accuracy", **given})
        if kind == "linear"
        else Mlp(kind="mlp", **{"hidden": 5, "choose_by": "accuracy", **given})
    )
    return section.model_dump()


def fit(head: dict[str, Any], states: Path | None = None, train: Rows = TRAIN, val: Rows = VAL) -> Fitted:
    return kind_of(head).fit(train, val, CLASSES, head, CPU, states)  # type: ignore[no-any-return]


# --- one member in plain PyTorch


def plain_network(head: dict[str, Any], seed: int) -> torch.nn.Module:
    """Our first weights in torch's own layers, float64."""
    first = kind_of(head)._first_parameters(torch.Generator().manual_seed(seed), WIDTH, CLASSES, head)
    layers = [torch.nn.Linear(WIDTH, CLASSES)]
    if head["kind"] == "mlp":
        layers = [torch.nn.Linear(WIDTH, head["hidden"]), torch.nn.Linear(head["hidden"], CLASSES)]
    names = [("weight", "bias")] if len(layers) == 1 else [("hidden_weight", "hidden_bias"), ("weight", "bias")]
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers, names, strict=True):
            layer.weight.copy_(first[weight].T)
            layer.bias.copy_(first[bias][0])
    return torch.nn.Sequential(layers[0], *(part for layer in layers[1:] for part in (torch.nn.ReLU(), layer))).double()


def plain_optimizer(head: dict[str, Any], network: torch.nn.Module, rate: float, decay: float) -> torch.optim.Optimizer:
    if head["optimizer"] == "sgd":
        return torch.optim.SGD(network.parameters(), rate, momentum=head["momentum"], weight_decay=decay)
    return torch.optim.AdamW(network.parameters(), rate, betas=(head["momentum"], 0.999), weight_decay=decay)


def plain_rows(head: dict[str, Any], train: Rows, rows: Rows) -> torch.Tensor:
    """Features in float64, standardised by NumPy where the head says so."""
    x_ND = train.x_ND.numpy().astype(np.float64)
    mean_D, scale_D = (x_ND.mean(0), x_ND.std(0)) if head["standardize"] else (0.0, 1.0)
    return torch.from_numpy((rows.x_ND.numpy().astype(np.float64) - mean_D) / scale_D)


def plain_member(
    head: dict[str, Any], rate: float, decay: float, seed: int
) -> tuple[torch.nn.Module, list[float], list[float]]:
    """The network at its end, the mean loss of every epoch, and the accuracy on val after every epoch."""
    network = plain_network(head, seed)
    optimizer = plain_optimizer(head, network, rate, decay)
    y_N = TRAIN.y_N.numpy()
    weights = compute_class_weight("balanced", classes=np.arange(CLASSES), y=y_N)
    weight_C = torch.from_numpy(weights) if head["class_weights"] == "balanced" else None
    loss_of = torch.nn.CrossEntropyLoss(weight_C, label_smoothing=head["label_smoothing"])
    batches = math.ceil(len(y_N) / head["batch_size"])
    steps = head["steps"] or head["epochs"] * batches
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    x_ND, val_ND = plain_rows(head, TRAIN, TRAIN), plain_rows(head, TRAIN, VAL)
    losses: list[float] = []
    scores: list[float] = []
    taken = 0
    while taken < steps:
        order = np.random.default_rng([seed, len(losses)]).permutation(len(y_N))
        of_epoch = []
        for start in range(0, len(y_N), head["batch_size"])[: steps - taken]:
            rows = order[start : start + head["batch_size"]]
            optimizer.zero_grad()
            loss = loss_of(network(x_ND[rows]), TRAIN.y_N[rows])
            loss.backward()
            optimizer.step()
            if head["schedule"] == "cosine":
                cosine.step()
            of_epoch.append(loss.item())
        taken += len(of_epoch)
        losses.append(float(np.mean(of_epoch)))
        scores.append(accuracy_score(VAL.y_N, network(val_ND).argmax(1)))
    return network, losses, scores


def parameters_of(network: torch.nn.Module) -> list[np.ndarray]:
    """Weights as (in, out) and biases as (1, out), in order."""
    return [part.detach().numpy().T if part.ndim == 2 else part.detach().numpy()[None] for part in network.parameters()]


def kept(replicate: dict[str, torch.Tensor]) -> list[np.ndarray]:
    names = ("hidden_weight", "hidden_bias", "weight", "bias")
    return [replicate[name].numpy() for name in names if name in replicate]


def check_against_plain(head: dict[str, Any]) -> None:
    """Every member's losses and scores, and the weights of all seeds of the chosen setting."""
    fitted = fit(head)
    grid = list(zip(fitted.history["learning_rate"], fitted.history["weight_decay"], strict=True))
    assert grid == [(rate, decay) for rate in head["learning_rates"] for decay in head["weight_decays"]]
    for place, (rate, decay) in enumerate(grid):
        for number, seed in enumerate(head["seeds"]):
            network, losses, scores = plain_member(head, rate, decay, seed)
            np.testing.assert_allclose(fitted.curves["train_loss"][:, place, number], losses, rtol=2e-4, atol=2e-5)
            np.testing.assert_allclose(fitted.curves["val_score"][:, place, number], scores, atol=1.5 / len(VAL.y_N))
            if {"learning_rate": rate, "weight_decay": decay} == fitted.chosen:
                for ours, plain in zip(kept(fitted.replicates[number]), parameters_of(network), strict=True):
                    np.testing.assert_allclose(ours, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize(
    "given",
    [
        SGD,
        {"optimizer": "adamw"},
        {**SGD, "class_weights": "balanced", "label_smoothing": 0.1},
        {"class_weights": "balanced", "label_smoothing": 0.2, "schedule": "constant"},
        {"steps": 7, "standardize": False},
    ],
    ids=["sgd", "adamw", "sgd weighted smooth", "adamw weighted smooth constant", "steps as they are"],
)
def test_every_member_is_what_plain_pytorch_trains(kind: str, given: dict[str, Any]) -> None:
    check_against_plain(settings_of(kind, **{**SMALL, **given}))


@settings(max_examples=10)
@given(
    kind=st.sampled_from(["linear", "mlp"]),
    optimizer=st.sampled_from(["sgd", "adamw"]),
    batch_size=st.integers(5, 90),
    epochs=st.integers(1, 3),
    schedule=st.sampled_from(["cosine", "constant"]),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    label_smoothing=st.sampled_from([0.0, 0.3]),
    class_weights=st.sampled_from(["none", "balanced"]),
    weight_decays=st.sampled_from([[0.0], [0.1], [0.1, 0.0]]),
    standardize=st.booleans(),
)
def test_it_is_so_whatever_the_settings(**given: Any) -> None:
    check_against_plain(settings_of(learning_rates=[0.02], seeds=[5], **given))


def test_a_linear_layer_starts_near_0_and_an_mlp_as_torch_draws_its_layers() -> None:
    generator = torch.Generator().manual_seed(0)
    one, two = settings_of("linear"), settings_of("mlp", hidden=400)
    flat = kind_of(one)._first_parameters(generator, 300, 50, one)
    assert float(flat["weight"].std()) == pytest.approx(0.01, rel=0.03) and not flat["bias"].any()
    deep = kind_of(two)._first_parameters(generator, 300, 50, two)
    for inputs, names in ((300, ("hidden_weight", "hidden_bias")), (400, ("weight", "bias"))):
        for name in names:
            assert 0.95 * inputs**-0.5 < float(deep[name].abs().max()) <= inputs**-0.5
        assert float(deep[names[0]].std()) == pytest.approx((3 * inputs) ** -0.5, rel=0.03)


# --- together and alone


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("given", [SGD, {}], ids=["sgd", "adamw"])
def test_a_member_does_not_depend_on_the_others(kind: str, given: dict[str, Any]) -> None:
    together = fit(settings_of(kind, **SMALL, **given))
    chosen = {"learning_rates": [together.chosen["learning_rate"]], "weight_decays": [together.chosen["weight_decay"]]}
    for number, seed in enumerate(BASE["seeds"]):
        head = settings_of(kind, **{**SMALL, **given, **chosen, "seeds": [seed]})
        alone, ours = fit(head).replicates[0], together.replicates[number]
        for one, other in zip(kept(alone), kept(ours), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
        predicted = [kind_of(head).predict(part, head, VAL.x_ND, CPU).argmax(1) for part in (alone, ours)]
        assert torch.equal(*predicted)


@pytest.mark.parametrize("most", [1, 100])
@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_groups_that_fit_into_memory_give_the_same(kind: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    head = settings_of(kind, **SMALL)
    whole = fit(head)
    monkeypatch.setattr(ablation, "_MOST_PARAMETERS", most)
    parts = fit(head)
    assert (parts.history, parts.chosen) == (whole.history, whole.chosen)
    np.testing.assert_allclose(parts.curves["train_loss"], whole.curves["train_loss"], rtol=1e-4)
    np.testing.assert_array_equal(parts.curves["val_score"], whole.curves["val_score"])
    for one, other in zip(parts.replicates, whole.replicates, strict=True):
        for ours, theirs in zip(kept(one), kept(other), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 5, 16])
@pytest.mark.parametrize(("n_seeds", "n_settings"), [(1, 1), (1, 10), (2, 3), (3, 10), (10, 10), (4, 1)])
@pytest.mark.parametrize("most", [1, 700, 10**9])
def test_groups_hold_every_member_once_and_no_more_than_fit(
    n_seeds: int, n_settings: int, threads: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablation, "_MOST_PARAMETERS", most)
    seeds, grid = list(range(n_seeds)), [(0.1 * number, 0.0) for number in range(n_settings)]
    parts = {
        device: ablation._parts(seeds, grid, 100, torch.device(device), threads if device == "cpu" else 1)
        for device in ("cpu", "cuda")
    }
    for seed_parts, grid_parts in parts.values():
        assert [*chain(*seed_parts)] == seeds and [*chain(*grid_parts)] == grid
        assert all(seed_parts) and all(grid_parts)
        assert max(map(len, grid_parts)) * n_seeds * 100 <= most or max(map(len, grid_parts)) == 1
        assert max(map(len, seed_parts)) - min(map(len, seed_parts)) <= 1
    assert parts["cuda"][0] == [seeds]
    assert len(parts["cpu"][0]) == min(threads, n_seeds)
    assert len(parts["cpu"][0]) * len(parts["cpu"][1]) >= min(threads, 4, n_settings)
    assert parts["cpu"][1] == ablation._parts(seeds, grid, 100, torch.device("cpu"), 1)[1]


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_the_number_of_threads_changes_no_bit(kind: str, seeds: int) -> None:
    rng = np.random.default_rng(0)
    wide = [rows_of(rng.normal(size=(300, 200)), rng.integers(0, CLASSES, 300)) for _ in range(2)]
    head = settings_of(kind, **{**SMALL, "seeds": list(range(seeds)), "batch_size": 100})
    one = fit(head, None, *wide)
    for threads in (2, 3, 7):
        torch.set_num_threads(threads)
        assert same(fit(head, None, *wide), one)
        assert torch.get_num_threads() == threads


# --- how long, what is kept, what is chosen


def test_steps_are_epochs_by_another_name() -> None:
    epochs = fit(settings_of("linear", **SMALL))
    steps = fit(settings_of("linear", **{**SMALL, "epochs": 1}, steps=4 * 5))  # 75 rows in batches of 16
    assert steps.history == epochs.history
    for one, other in zip(steps.replicates, epochs.replicates, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (5, 1), (6, 2), (11, 3)])
def test_the_last_epoch_of_counted_steps_may_be_short(steps: int, epochs: int) -> None:
    assert len(fit(settings_of("linear", **SMALL, steps=steps)).curves["train_loss"]) == epochs


@pytest.mark.parametrize("every", [1, 3, 5, 7, 20])
def test_scores_every_few_steps_are_those_of_trainings_that_end_there(every: int) -> None:
    """75 rows in batches of 16 are 5 steps; 12 steps in all."""
    given = {**SMALL, "steps": 12, "schedule": "constant"}
    fitted = fit(settings_of("linear", **given, validate_every=every))
    ends = [*range(every, 12, every), 12]
    ended = [fit(settings_of("linear", **{**given, "steps": steps}, validate_every=1)) for steps in ends]
    expected = [one.curves["val_score"][-1] for one in ended]
    np.testing.assert_array_equal(fitted.curves["val_score"], expected)
    losses = np.split(ended[-1].curves["train_loss"], ends[:-1])
    np.testing.assert_allclose(fitted.curves["train_loss"], [part.mean(0) for part in losses], rtol=1e-5)
    for one, other in zip(fitted.replicates, ended[-1].replicates, strict=True):
        assert torch.equal(one["weight"], other["weight"])


@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize(("every", "patience"), [(2, 6), (3, 1), (2, 5)])
def test_a_member_ends_when_its_patience_does(keep: str, every: int, patience: int, tmp_path: Path) -> None:
    """Counted by hand on the scores of members that are not stopped."""
    given = {**SMALL, "steps": 60, "validate_every": every, "schedule": "constant", "keep": keep}
    whole = fit(settings_of("linear", **given)).curves["val_score"]
    fitted = fit(settings_of("linear", **given, patience=patience))
    found, scores_LS = fitted.curves["val_score"], np.zeros(whole.shape[1:])
    for place in np.ndindex(scores_LS.shape):
        values, waited, best = whole[:, *place], 0, -1.0
        for end, value in enumerate(values):  # noqa: B007
            waited = 0 if value > best else waited + every
            best = max(best, value)
            if waited >= patience:
                break
        np.testing.assert_array_equal(found[: end + 1, *place], values[: end + 1])
        assert np.isnan(found[end + 1 :, *place]).all()
        scores_LS[place] = values[: end + 1].max() if keep == "best" else values[end]
    assert len(found) < len(whole)
    np.testing.assert_allclose(fitted.history["val_score"], scores_LS.mean(1), rtol=1e-6)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_chosen_setting_has_the_best_mean_over_the_seeds(keep: str) -> None:
    fitted = fit(settings_of("mlp", **{**SMALL, "epochs": 8}, keep=keep))
    curve = fitted.curves["val_score"].astype(np.float64)  # (epochs, settings, seeds)
    mean = (curve[-1] if keep == "last" else curve.max(0)).mean(1)
    np.testing.assert_allclose(fitted.history["val_score"], mean, rtol=1e-6)
    place = int(np.argmax(np.round(mean, 6)))
    assert fitted.chosen["learning_rate"] == fitted.history["learning_rate"][place]
    assert fitted.chosen["weight_decay"] == fitted.history["weight_decay"][place]


def test_the_best_epochs_weights_are_those_of_a_training_that_ends_there() -> None:
    given = {"learning_rates": [0.3], "weight_decays": [0.0], "seeds": [0], "batch_size": 16, "schedule": "constant"}
    best = fit(settings_of("linear", **given, epochs=12, keep="best"))
    epoch = int(best.curves["val_score"][:, 0, 0].argmax())
    assert epoch < 11, "this test needs data on which val gets worse"
    ended = fit(settings_of("linear", **given, epochs=epoch + 1))
    last = fit(settings_of("linear", **given, epochs=12))
    assert torch.equal(best.replicates[0]["weight"], ended.replicates[0]["weight"])
    assert not torch.equal(best.replicates[0]["weight"], last.replicates[0]["weight"])
    assert best.history["val_score"] > last.history["val_score"]


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        ("accuracy", lambda y, p: accuracy_score(y, p.argmax(1))),
        ("balanced_accuracy", lambda y, p: balanced_accuracy_score(y, p.argmax(1))),
        ("macro_f1", lambda y, p: f1_score(y, p.argmax(1), average="macro")),
        ("auroc", lambda y, p: roc_auc_score(y, p, multi_class="ovr")),
        ("average_precision", lambda y, p: average_precision_score(y, p)),
        (
            "log_loss",
            lambda y, p: -min(log_loss(y, softmax(np.log(p) / t, axis=1)) for t in np.geomspace(0.02, 50, 300)),
        ),
    ],
)
def test_the_score_is_the_figure_that_is_asked_for(figure: str, expected: Any) -> None:
    val = rows_of(*clouds([60, 15, 5], WIDTH, 3))
    given = {"learning_rates": [0.003, 0.01], "seeds": [0, 1], "epochs": 2, "batch_size": 16, "choose_by": figure}
    fitted = fit(settings_of("linear", **given), val=val)
    place = int(np.argmax(fitted.history["val_score"]))
    logits = [kind_of(given | {"kind": "linear"}).predict(one, given, val.x_ND, CPU) for one in fitted.replicates]
    each = [expected(val.y_N.numpy(), one.double().softmax(1).numpy()) for one in logits]
    assert fitted.history["val_score"][place] == pytest.approx(np.mean(each), abs=1e-4)


# --- what diverges


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_rate_that_diverges_is_unknown_and_never_chosen(kind: str) -> None:
    given = {**SMALL, **SGD, "weight_decays": [0.0]}
    fitted = fit(settings_of(kind, **{**given, "learning_rates": [1e38, 0.01]}))
    assert np.isnan(fitted.history["val_score"][0]) and np.isfinite(fitted.history["val_score"][1])
    assert fitted.chosen["learning_rate"] == 0.01
    alone = fit(settings_of(kind, **{**given, "learning_rates": [0.01]}))
    for one, other in zip(fitted.replicates, alone.replicates, strict=True):
        for ours, theirs in zip(kept(one), kept(other), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("keep", ["last", "best"])
def test_where_all_diverge_it_is_said_with_what_to_do(keep: str) -> None:
    head = settings_of("mlp", **{**SMALL, **SGD, "learning_rates": [1e37, 1e38]}, keep=keep)
    with pytest.raises(UnchokeError, match=r"(?s)mlp.*infinite.*lower its learning_rates"):
        fit(head)


def test_an_epoch_before_the_divergence_may_be_the_best() -> None:
    """AdamW's decay multiplies the weights by -1e25 a step: after one they are finite, after two they are not."""
    given = {"learning_rates": [1e25], "weight_decays": [1.0], "seeds": [0], "batch_size": 100, "epochs": 3}
    head = settings_of("linear", **given, schedule="constant", keep="best")
    fitted = fit(head)
    curve = fitted.curves["val_score"][:, 0, 0]
    assert np.isfinite(curve[0]) and np.isnan(curve[-1])
    assert fitted.history["val_score"] == [pytest.approx(curve[0])]
    assert torch.isfinite(fitted.replicates[0]["weight"]).all()


def test_bfloat16_rounds_the_products_and_little_else() -> None:
    exact, rounded = (
        fit(settings_of("mlp", **{**SMALL, "learning_rates": [0.01]}, precision=precision))
        for precision in ("float32", "bfloat16")
    )
    losses = [fitted.curves["train_loss"] for fitted in (exact, rounded)]
    assert (losses[0] != losses[1]).any()
    np.testing.assert_allclose(*losses, rtol=0.03)
    np.testing.assert_allclose(exact.history["val_score"], rounded.history["val_score"], atol=0.06)
    assert rounded.replicates[0]["weight"].dtype == torch.float32


# --- trainings that were interrupted


def same(one: Fitted, other: Fitted) -> bool:
    pairs = zip(one.replicates, other.replicates, strict=True)
    return one.history == other.history and all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)


def test_a_killed_training_goes_on_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, slow_training.__file__, str(tmp_path)]
    victim = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert victim.stdout
    for line in victim.stdout:
        if line == "epoch 3\n":
            victim.send_signal(signal.SIGKILL)
            break
    assert victim.wait(30) == -signal.SIGKILL
    assert not (tmp_path / "members.safetensors").exists()
    (file,) = (tmp_path / "states").glob("*.safetensors")
    epoch = int(load_file(file)["counters.epoch"])
    assert 2 <= epoch < slow_training.EPOCHS
    again = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    done = [line for line in again if line.startswith("epoch")]
    assert again[0] == f"goes on after epoch {epoch} of {slow_training.EPOCHS}"
    epochs = [*range(epoch + 1, slow_training.EPOCHS + 1), *range(1, slow_training.EPOCHS + 1)]  # the other rate's too
    assert done == [f"epoch {number}" for number in epochs]
    (tmp_path / "undisturbed").mkdir()
    assert (tmp_path / "members.safetensors").read_bytes() == slow_training.train(tmp_path / "undisturbed")


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize(
    "given",
    [SGD, {"keep": "best"}, {"keep": "best", "validate_every": 3, "patience": 9, "steps": 40}],
    ids=["sgd", "adamw best", "patience"],
)
def test_it_goes_on_after_any_epoch(
    kind: str, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = settings_of(kind, **SMALL, **given)
    undisturbed, run_epoch = fit(head), Group.run_epoch
    monkeypatch.setattr(resume, "SAVE_EVERY_S", 0)

    def interrupted(stop: int) -> Callable[..., None]:
        def run_until(group: Group, state: resume.State) -> None:
            if state.counters["epoch"] == stop:
                raise KeyboardInterrupt
            run_epoch(group, state)

        return run_until

    for stop in (1, 2, 3):
        monkeypatch.setattr(Group, "run_epoch", interrupted(stop))
        with pytest.raises(KeyboardInterrupt):
            fit(head, tmp_path)
    monkeypatch.setattr(Group, "run_epoch", run_epoch)
    assert same(fit(head, tmp_path), undisturbed)


def test_groups_that_are_finished_are_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation, "_MOST_PARAMETERS", 1)
    head = settings_of("linear", **SMALL)
    before = fit(head, tmp_path)
    assert len(list(tmp_path.iterdir())) == 5  # of six groups: the last one's end is the end of all
    trained, run_epoch = set(), Group.run_epoch
    monkeypatch.setattr(
        Group, "run_epoch", lambda group, state: (trained.add(group.file.path), run_epoch(group, state))
    )
    assert same(fit(head, tmp_path), before)
    assert len(trained) == 1


@pytest.mark.parametrize("change", [{"seeds": [0, 4]}, {"batch_size": 17}], ids=lambda change: next(iter(change)))
def test_a_state_of_other_settings_is_not_used(change: dict[str, Any], tmp_path: Path) -> None:
    fit(settings_of("linear", **SMALL), tmp_path)
    head = settings_of("linear", **{**SMALL, **change})
    assert same(fit(head, tmp_path), fit(head))


@pytest.mark.parametrize("which", ["train", "val"])
@pytest.mark.parametrize("part", ["x_ND", "y_N"])
def test_a_state_of_other_data_is_not_used(which: str, part: str, tmp_path: Path, capsys: Any) -> None:
    head = settings_of("linear", **SMALL)
    fit(head, tmp_path)
    rows = {"train": TRAIN, "val": VAL}
    changed = getattr(rows[which], part).clone()
    changed[:7] = changed[7:14].clone()
    rows[which] = replace(rows[which], **{part: changed})
    assert same(fit(head, tmp_path, **rows), fit(head, **rows))
    assert "goes on" not in capsys.readouterr().out
