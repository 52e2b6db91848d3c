"""The factor of the learning rate against torch's scheduler."""

import pytest
import torch

from unchoke.training.schedule import rate_factor


@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_the_cosine_is_torchs(steps: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        assert rate_factor("cosine", step, steps) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        scheduler.step()


def test_a_constant_rate_stays() -> None:
    assert [rate_factor("constant", step, 5) for step in range(5)] == [1.0] * 5


@pytest.mark.parametrize(("steps", "warm_up"), [(100, 0.05), (41, 0.3), (10, 0.9), (7, 0.05)])
def test_the_warm_up_is_torchs_line_before_the_cosine(steps: int, warm_up: float) -> None:
    rising = round(warm_up * steps)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    line = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / (rising + 1), total_iters=rising)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps - rising)
    scheduler = torch.optim.lr_scheduler.SequentialLR(optimizer, [line, cosine], [rising])
    for step in range(steps):
        assert rate_factor("cosine", step, steps, warm_up) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-9)
        assert rate_factor("constant", step, steps, warm_up) == min(1, (step + 1) / (rising + 1))
        optimizer.step()
        scheduler.step()
