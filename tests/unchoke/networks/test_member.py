"""A member against a plain loop; trainings that were cut short; what is kept."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slow_network
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score
from small_networks import CPU, EVERYTHING, SETTINGS, build, images, task_of
from torch import nn

from unchoke.errors import UnchokeError
from unchoke.networks import member as members
from unchoke.networks import step as steps
from unchoke.networks.images import StreamedImages, drawn_views, hold
from unchoke.networks.member import Member, order_of, places, train_member
from unchoke.networks.step_log import StepLog
from unchoke.networks.task import NetworkTask
from unchoke.training.batches import random_batches

pytestmark = pytest.mark.usefixtures("one_thread")
HELPERS = Path(__file__).parents[1] / "helpers"


def fit(task: NetworkTask, states: Path | None = None, micro_batch: int = 8, **given: Any) -> Member:
    return train_member(task, 0.01, 0.1, 0, micro_batch, states, **given)


def same(one: Member, other: Member) -> bool:
    return (
        one.score == other.score
        and all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())
        and all(np.array_equal(curve, other.curves[name]) for name, curve in one.curves.items())
    )


def plain(task: NetworkTask, epochs: int) -> tuple[nn.Module, list[float], list[float]]:
    """The network at its end, the mean loss of each epoch, and scikit-learn's accuracy on val."""
    model = build(0).trained
    weights = [part for part in model.parameters() if part.ndim > 1]
    others = [part for part in model.parameters() if part.ndim <= 1]
    groups = [{"params": weights, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, 0.01)
    size, rows = SETTINGS["batch_size"], len(task.train.label_N)
    total = epochs * -(-rows // size)
    rising = round(0.1 * total)
    line = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / (rising + 1), total_iters=rising)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total - rising)
    rates = torch.optim.lr_scheduler.SequentialLR(optimizer, [line, cosine], [rising])
    losses, scores = [], []
    for epoch in range(epochs):
        model.train()
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.eval()
        of_epoch = []
        rng = np.random.default_rng([0, epoch])
        for batch in random_batches(lambda place: {"place": place}, rows, size, rng, 4, 1e9):
            place = batch["place"]
            x = torch.from_numpy(task.train.x_VN[0, place]).float()
            loss = nn.functional.cross_entropy(model(x), torch.from_numpy(task.train.label_N[place]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
            of_epoch.append(loss.item())
        losses.append(float(np.mean(of_epoch)))
        found = model.eval()(torch.from_numpy(task.val.x_VN[0]).float()).argmax(1)
        scores.append(accuracy_score(task.val.label_N, found))
    return model, losses, scores


@pytest.mark.parametrize("micro_batch", [8, 3])
def test_a_member_is_what_a_plain_loop_trains_in_any_micro_batches(micro_batch: int) -> None:
    task = task_of()
    found = fit(task, micro_batch=micro_batch)
    model, losses, scores = plain(task, 3)
    np.testing.assert_allclose(found.curves["train_loss"], losses, rtol=1e-5)
    np.testing.assert_allclose(found.curves["val_score"], scores, atol=1e-6)
    torch.testing.assert_close(found.tensors, dict(model.state_dict()), rtol=1e-4, atol=1e-5)
    assert found.score == pytest.approx(scores[-1])
    assert found.facts["micro_batch"] == micro_batch and found.facts["steps"] == 12
    assert found.facts["batch_norm"] == "frozen"
    assert found.facts["parameters"] == sum(part.numel() for part in model.parameters())


def test_everything_together_does_not_depend_on_the_micro_batch_but_for_rounding() -> None:
    """Drop-path, dropout, mixup and views are drawn before a batch is cut."""
    whole, cut = (fit(task_of(0.3, views=2, **EVERYTHING), micro_batch=size) for size in (8, 3))
    torch.testing.assert_close(whole.tensors, cut.tensors, rtol=1e-4, atol=1e-5)
    other = fit(task_of(0.2, views=2, **EVERYTHING))
    assert not torch.allclose(whole.tensors["fc.weight"], other.tensors["fc.weight"], rtol=1e-3)


def test_the_view_of_an_image_is_its_own_in_each_epoch_and_all_are_drawn() -> None:
    many = images(200, 0, views=3)
    drawn = [drawn_views(many, 0, epoch, np.arange(200)) for epoch in (0, 1)]
    assert (np.bincount(drawn[0], minlength=3) > 40).all() and (drawn[0] != drawn[1]).any()
    some = np.array([5, 190, 7])
    np.testing.assert_array_equal(drawn_views(many, 0, 1, some), drawn[1][some])


def test_pixels_are_augmented_and_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(epochs=1, augment=["hflip", "shift"])
    pixels = images(30, 1, pixels=True)
    seen: list[torch.Tensor] = []
    network = build(0)
    network.trained[0] = nn.Identity()
    network.trained.fc = nn.Linear(3, 3)
    network.trained.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    task = NetworkTask(
        lambda _: network, pixels, images(14, 2, pixels=True), task.settings, 3, CPU, "data", chunk_size=4
    )
    fit(task)
    assert seen[0].dtype == torch.float32
    values = (seen[0].numpy() * 0.5 + 0.5) * 255
    np.testing.assert_allclose(values, values.round(), atol=1e-4)
    plain_images = {bytes(x) for x in pixels.x_VN[0]}
    assert not all(bytes(x.round().astype(np.uint8)) in plain_images for x in values)
    last = (seen[-1].numpy() * 0.5 + 0.5) * 255  # of val, as it is
    np.testing.assert_allclose(last, task.val.x_VN[0, -len(last) :], atol=1e-4)


def test_the_best_epochs_weights_are_those_of_a_training_that_ends_there() -> None:
    given = {"schedule": "constant", "warm_up": 0.0, "choose_by": "log_loss"}
    best = train_member(task_of(keep="best", epochs=6, **given), 0.3, 0.0, 0, 8)
    curve = best.curves["val_score"]
    epoch = int(curve.argmax())
    assert epoch < 5, "this test needs data on which val gets worse"
    ended = train_member(task_of(keep="last", epochs=epoch + 1, **given), 0.3, 0.0, 0, 8)
    assert all(torch.equal(tensor, best.tensors[name]) for name, tensor in ended.tensors.items())
    assert best.score == ended.score == pytest.approx(float(curve.max()))


def test_training_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    fit(task_of(0.3, epochs=1, **EVERYTHING))
    assert torch.equal(torch.get_rng_state(), before)


def test_images_that_are_held_are_trained_on_as_those_that_are_read_and_never_copied_whole() -> None:
    task = task_of(0.2, views=2, epochs=2)

    class Read:
        """Images somewhere else."""

        image_id_N, label_N, views = task.train.image_id_N, task.train.label_N, 2
        reads: list[int] = []

        def read(self, place_B: np.ndarray, view_B: np.ndarray) -> np.ndarray:
            self.reads.append(len(place_B))
            return task.train.read(place_B, view_B)

    read = Read()
    elsewhere = replace(task, train=read)
    assert same(fit(task), fit(elsewhere)) and read.reads == [1, 30, 30]  # how large one is, then each view
    read.reads.clear()
    small_mb = 2 * task.train.x_VN[0, 0].nbytes * 20 / 2**20  # half of it is of train, and holds 20
    found = fit(replace(elsewhere, budget_mb=small_mb))
    assert max(read.reads) == 8 and found.curves["train_loss"].shape == (2,)
    held = hold(read, 1.0)
    np.testing.assert_array_equal(held.x_VN, task.train.x_VN)  # type: ignore[attr-defined]


def test_images_that_a_loader_reads_ahead_give_the_same_training() -> None:
    """The stream has the batches of train and those of val, epoch by epoch, in the order of the training."""
    task = task_of(epochs=2)
    one_view = replace(task, train=replace(task.train, x_VN=task.train.x_VN[:1]))  # type: ignore[type-var]

    def stream() -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
        for epoch in range(2):
            for batch in random_batches(places, 30, SETTINGS["batch_size"], order_of(0, epoch), 4, 1024):
                yield batch["place"], task.train.read(batch["place"], np.zeros_like(batch["place"]))
            for start in range(0, 14, 8):
                place_B = np.arange(start, min(start + 8, 14))
                yield place_B, task.val.read(place_B, np.zeros_like(place_B))

    shared = stream()
    ahead = [StreamedImages(part.image_id_N, part.label_N, shared) for part in (task.train, task.val)]
    streamed = replace(task, train=ahead[0], val=ahead[1])
    assert same(fit(streamed), fit(one_view))
    wrong = StreamedImages(task.val.image_id_N, task.val.label_N, stream())
    with pytest.raises(ValueError, match="in another order"):
        wrong.read(np.arange(3), np.zeros(3, np.int64))


# --- trainings cut short


class Cut(Exception):
    """Stands for a kill."""


def cut_behind(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    def update(learner: Any, now: int, rate: float) -> None:
        if now == step:
            raise Cut
        original(learner, now, rate)

    original = steps.update
    monkeypatch.setattr(members, "update", update)


@pytest.mark.parametrize("step", [1, 3, 4, 7, 11])
def test_a_training_cut_short_goes_on_and_ends_in_the_same_bytes(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"frozen_norm": False, "views": 2, **EVERYTHING, "checkpointing": True}
    undisturbed = fit(task_of(0.3, **given), micro_batch=3)
    monkeypatch.setattr(members, "SAVE_EVERY_S", -1.0)
    log = tmp_path / "steps.csv"
    with monkeypatch.context() as patch, pytest.raises(Cut):
        cut_behind(patch, step)
        fit(task_of(0.3, **given), tmp_path / "states", 3, watch=StepLog(log, 12, 3))
    log.write_text(log.read_text() + "77,9,0.1")  # a row of later, and not whole
    found = fit(task_of(0.3, **given), tmp_path / "states", 3, watch=StepLog(log, 12, 3))
    assert same(found, undisturbed) and found.facts == undisturbed.facts
    assert f"goes on behind step {step} of 12" in capsys.readouterr().out
    assert [int(line.split(",")[0]) for line in log.read_text().splitlines()[1:]] == list(range(12))


@pytest.mark.parametrize("change", [{"batch_size": 5}, {"mixup": 0.1}, {"seed": 1}, {"rate": 0.02}], ids=str)
def test_a_state_of_another_training_is_not_used(
    change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(members, "SAVE_EVERY_S", -1.0)
    with monkeypatch.context() as patch, pytest.raises(Cut):
        cut_behind(patch, 3)
        fit(task_of(), tmp_path)
    settings = {name: value for name, value in change.items() if name not in ("seed", "rate")}
    train_member(task_of(epochs=1, **settings), change.get("rate", 0.01), 0.1, change.get("seed", 0), 8, tmp_path)
    assert "goes on" not in capsys.readouterr().out
    fit(task_of(learning_rates=[1, 2], minutes=3), tmp_path)  # of other members, and of the plan
    assert "goes on behind step 3" in capsys.readouterr().out


def test_a_process_that_is_killed_inside_an_epoch_goes_on_to_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, whole = tmp_path / "cut", tmp_path / "whole"
    for place in (folder, whole):
        place.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(HELPERS.parents[2] / "scripts")}
    command = [sys.executable, HELPERS / "slow_network.py", folder]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert started.stdout and any(line == "step 5\n" for line in started.stdout)
    started.send_signal(signal.SIGKILL)
    assert started.wait() == -signal.SIGKILL
    assert slow_network.train(folder) == slow_network.train(whole)
    assert re.search("goes on behind step [56789] of 12", capsys.readouterr().out)


# --- losses that are not finite


@pytest.mark.parametrize("states", [True, False])
def test_a_loss_that_is_not_finite_stops_with_the_batch_kept(states: bool, tmp_path: Path) -> None:
    task = task_of(0.3, mixup=0.4)
    bad = int(task.train.image_id_N[7])
    task.train.x_VN[0, 7] = np.nan
    with pytest.raises(UnchokeError, match=rf"(?s)not finite.*{'replay.safetensors' if states else 'lower'}"):
        fit(task, tmp_path if states else None)
    if states:
        [path] = tmp_path.glob("*.replay.safetensors")
        kept = load_file(path)
        assert bad in kept["image_id"].tolist() and kept["x"].dtype == torch.float16
        place = kept["image_id"].tolist().index(bad)
        assert kept["x"][place].isnan().all() and {"partner", "share", "label"} <= set(kept)
        assert not kept["network.fc.weight"].isnan().any()
