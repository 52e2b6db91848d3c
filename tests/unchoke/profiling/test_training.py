"""The profile of a training names the part of a step that was made slow, and says what it costs."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from slow_steps import DELAY_S, USUAL_S, slowed
from small_networks import CPU, task_of
from torch import nn

from unchoke.images.steps import BACKWARD, FORWARD, FROZEN, INPUTS, READ, UPDATE
from unchoke.machine.memory import meter_of
from unchoke.networks.network import Network
from unchoke.networks.task import NetworkTask
from unchoke.profiling import training
from unchoke.profiling.training import Recorded, Skipping, profile_training, without_forward

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH = 10


def profile(task: NetworkTask, seconds: float = 0.1) -> dict[str, Any]:
    return profile_training(task, meter_of(CPU), 10_000, seconds, 0)


def with_frozen(task: NetworkTask) -> NetworkTask:
    """The same task, with a part that runs before the trained one."""
    built = task.build

    def build(seed: int) -> Network:
        return replace(built(seed), frozen=nn.Conv2d(4, 4, 1))

    return replace(task, build=build)


@pytest.mark.parametrize("step", [READ, INPUTS, FROZEN, FORWARD, BACKWARD, UPDATE])
def test_a_slow_part_is_named_and_its_cost_foretold(step: str) -> None:
    """On a made clock. A step of 10 images in one micro-batch takes each part once."""
    with slowed(step, training) as slow:
        found = profile(with_frozen(task_of(batch_size=BATCH)), 1e4)
    [row] = [row for row in found["steps"] if row["step"] == step]
    assert (found["bottleneck"], found["batch"], found["images"]) == (step, BATCH, 30)
    assert 1 / found["images_per_s"] == pytest.approx((DELAY_S + 6 * USUAL_S) / BATCH)
    assert slow.cost_s == pytest.approx(DELAY_S / BATCH)
    assert (row["saved_s"], row["alone_s"]) == pytest.approx(((DELAY_S + USUAL_S) / BATCH,) * 2)
    assert row["share"] == pytest.approx((DELAY_S + USUAL_S) / (DELAY_S + 6 * USUAL_S))


def test_a_part_that_no_step_has_is_left_out() -> None:
    with slowed(FORWARD, training):
        found = profile(task_of(batch_size=BATCH), 1e4)
    assert found["absent"] == {"frozen part": "no frozen part runs in a step"}
    assert [row["step"] for row in found["steps"]] == ["read", "inputs", "forward", "backward", "update"]
    assert found["verdict"].startswith(
        "forward is the bottleneck; without it at most 5.20 × "
    )  # 26 ms a step, and 5 ms


def test_without_a_forward_pass_a_step_takes_what_neither_pass_saves_less() -> None:
    """By hand: of 10 s the backward pass takes 4 s, and forward 3 s; in a round of noise, no less than without both."""
    assert without_forward([10.0, 8.0], [6.0, 5.0], [3.0, 1.0]) == [7.0, 4.0]
    assert without_forward([5.0], [9.0], [3.0]) == [3.0]


def test_what_stands_in_place_of_a_part_is_what_it_gave() -> None:
    """Gradients after a replaced backward pass, and batches after a replaced reading, are those of the real one."""
    task = with_frozen(task_of(batch_size=BATCH))
    learner = training.first_learner(task)
    measured = training._Measured(task, learner, 4, BATCH, 20, 0)
    recorded = Recorded(learner)
    measured.run(recorded)
    assert {step: len(kept) for step, kept in recorded.results.items()} == {READ: 2, INPUTS: 6, FROZEN: 6}
    expected = [own.grad.clone() for own in learner.network.trained.parameters()]  # type: ignore[union-attr]
    for steps in ((READ,), (FROZEN,), (BACKWARD,), (FORWARD, BACKWARD)):
        measured.run(Skipping(recorded, *steps))
        for own, gradient in zip(learner.network.trained.parameters(), expected, strict=True):
            assert own.grad is not None and torch.equal(own.grad, gradient)


def test_no_weight_changes_and_a_batch_is_at_most_the_images() -> None:
    task = task_of(batch_size=64)
    built: list[Network] = []
    found = profile(replace(task, build=lambda seed: built.append(task.build(seed)) or built[0]))  # type: ignore[func-returns-value]
    first = task.build(0)
    for own, before in zip(built[0].trained.parameters(), first.trained.parameters(), strict=True):
        assert torch.equal(own, before)
    assert (found["batch"], found["images"], found["micro_batch"]) == (30, 30, 30)
