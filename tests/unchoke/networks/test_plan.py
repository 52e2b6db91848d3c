"""The plan of a network over a meter and a clock made for the test."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from small_networks import task_of

from unchoke.errors import UnchokeError
from unchoke.networks import plan as plans
from unchoke.networks.plan import plan_network

pytestmark = pytest.mark.usefixtures("one_thread")


@dataclass
class Fixed:
    """A device on which an image takes 10 MB beside 100; `most` images fit."""

    most: int = 1000
    now: int = 0

    def reset_peak(self) -> None:
        self.now = 0

    def peak_mb(self) -> float:
        return 100 + 10 * self.now


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Fixed:
    meter, original = Fixed(), plans.gradients_at_once

    def measured(learner: Any, batch: Any, step: int, size: int) -> torch.Tensor:
        if size > meter.most:
            raise RuntimeError("CUDA error: out of memory")
        meter.now = size
        return original(learner, batch, step, size)

    monkeypatch.setattr(plans, "gradients_at_once", measured)
    return meter


@pytest.mark.parametrize(("budget_mb", "most", "expected"), [(1000, 99, 8), (165, 99, 4), (1000, 3, 2), (125, 99, 1)])
def test_the_largest_micro_batch_within_the_margin_is_planned(
    budget_mb: float, most: int, expected: int, device: Fixed
) -> None:
    device.most = most
    plan = plan_network(task_of(), device, budget_mb)
    assert plan["micro_batch"] == expected and plan["peak_mb"] == 100 + 10 * expected
    tried = [1, 2, 4, 8][: [1, 2, 4, 8].index(expected) + 2]
    assert plan["peaks_mb"] == {str(n): 100.0 + 10 * n if n <= most else None for n in tried}


@pytest.mark.parametrize(("budget_mb", "most", "found"), [(110, 99, "a peak of 110 MB"), (1000, 0, "memory ran out")])
def test_a_network_that_does_not_fit_says_what_to_do(budget_mb: float, most: int, found: str, device: Fixed) -> None:
    device.most = most
    with pytest.raises(UnchokeError, match=rf"(?s){found}.*gpu.vram_mb.*fewer blocks.*checkpointing"):
        plan_network(task_of(), device, budget_mb)


def test_minutes_are_of_all_steps_and_scores_of_all_members(device: Fixed, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([5.0, 2.0, 3.0, 0.5] * 2)  # three steps, and a score on 8 of 14 images
    monkeypatch.setattr(plans, "seconds_of", lambda work: (work(), next(seconds))[1])
    given: dict[str, Any] = {"learning_rates": [0.1, 0.2], "seeds": [0, 1, 2]}
    plan = plan_network(task_of(**given), device, 1000)
    assert plan["step_s"] == 2.0 and plan["val_s"] == pytest.approx(0.5 * 14 / 8)
    assert plan["minutes"] == pytest.approx(6 * (12 * 2.0 + 3 * 0.5 * 14 / 8) / 60)
    ways = r"fewer epochs, fewer learning_rates, fewer seeds, fewer blocks; or raise minutes"
    with pytest.raises(UnchokeError, match=rf"(?s)2.7 minutes: 6 members × 12 steps × 2.000 s.*at most 2 min.*{ways}"):
        plan_network(task_of(**given, minutes=2), device, 1000)


def test_a_card_sees_its_share_of_a_batch(device: Fixed) -> None:
    assert list(plan_network(task_of(cards=3), device, 1000)["peaks_mb"]) == ["1", "2", "3"]


def test_a_score_that_val_does_not_define_is_refused_before_training(device: Fixed) -> None:
    task = task_of(choose_by="auroc")
    task.val.label_N[:] = 1
    with pytest.raises(UnchokeError, match=r"(?s)images of val are of one class.*evaluation.metric"):
        plan_network(task, device, 1000)


def test_a_plan_leaves_the_images_and_the_random_numbers_of_others_alone(device: Fixed) -> None:
    torch.manual_seed(3)
    before, task = torch.get_rng_state(), task_of(0.3, mixup=0.2, dropout=0.1)
    held = task.train.x_VN.copy()  # type: ignore[attr-defined]
    plan_network(task, device, 1000)
    assert torch.equal(torch.get_rng_state(), before) and (held == task.train.x_VN).all()  # type: ignore[attr-defined]
