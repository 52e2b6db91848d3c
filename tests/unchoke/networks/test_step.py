"""A step whose memory ran out, at forward, backward or before the update: as one planned at the size that fits."""

from typing import Any

import pytest
import torch
from fake_cards import fake_card
from hypothesis import given
from hypothesis import strategies as st
from small_networks import CLASSES, CPU, SETTINGS, build, images
from torch import nn

from unchoke.errors import UnchokeError
from unchoke.networks import step as steps
from unchoke.networks.augment import mixed_pairs
from unchoke.networks.losses import Targets
from unchoke.networks.step import Batch, Learner, even_parts, gradients, make_learner, update

pytestmark = pytest.mark.usefixtures("one_thread")
DRAWN = {"dropout": 0.3, "mixup": 0.5, "label_smoothing": 0.1}
ERRORS = [torch.OutOfMemoryError("tried to allocate 2 GB"), RuntimeError("CUDA error: out of memory")]


def learner_of(*, frozen_norm: bool = True, **given: Any) -> Learner:
    network = build(0, 0.4, frozen_norm=frozen_norm)
    return make_learner(network, SETTINGS | DRAWN | given, CPU, torch.tensor([1.0, 2.0, 0.5]), 0.1, 3)


def batch_of(count: int = 7) -> Batch:
    held = images(count, 1)
    partner, share = mixed_pairs(3, 5, count, 0.5)
    targets = Targets(torch.from_numpy(held.label_N), torch.from_numpy(partner), torch.from_numpy(share))
    return Batch(torch.from_numpy(held.x_VN[0]), held.image_id_N, targets)


def refuse(learner: Learner, place: str, most: int, error: Exception, patch: pytest.MonkeyPatch) -> list[int]:
    """Let memory run out for more than `most` images; the sizes that were tried."""
    seen: list[int] = []

    def check(size: int) -> None:
        if size > most:
            raise error

    class Heavy(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
            check(len(slope))
            return slope

    def see(module: nn.Module, inputs: tuple[torch.Tensor]) -> Any:
        seen.append(len(inputs[0]))
        if place == "forward":
            check(len(inputs[0]))
        return (Heavy.apply(inputs[0]),) if place == "backward" else None

    learner.network.model.fc.register_forward_pre_hook(see)  # behind the batch norms
    if place == "update":
        reserve = steps.reserve
        patch.setattr(steps, "reserve", lambda optimizer: (check(max(seen[-2:])), reserve(optimizer)))
    return seen


def grads(learner: Learner) -> list[torch.Tensor]:
    return [part.grad.clone() for part in learner.network.trained.parameters() if part.grad is not None]


@pytest.mark.parametrize("error", ERRORS, ids=["type", "text"])
@pytest.mark.parametrize("place", ["forward", "backward", "update"])
def test_a_step_that_failed_has_the_gradient_of_one_that_did_not(
    place: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, whole, planned = learner_of(), learner_of(), learner_of()
    expected_loss, _ = gradients(whole, batch_of(), 5, 8)
    gradients(planned, batch_of(), 5, 2)
    update(planned, 5, 0.01)
    with monkeypatch.context() as patch:
        seen = refuse(failed, place, 2, error, patch)
        loss, micro_batch = gradients(failed, batch_of(), 5, 8)
    assert micro_batch == 2 and seen[-4:] == [2, 2, 2, 1] and seen[0] == 7
    ours, theirs = (torch.cat([part.ravel() for part in grads(one)]).double() for one in (failed, whole))
    assert torch.linalg.vector_norm(ours - theirs) <= 1e-6 * torch.linalg.vector_norm(theirs)
    assert float(loss) == pytest.approx(float(expected_loss), rel=1e-6)
    update(failed, 5, 0.01)
    for found, expected in zip(
        failed.network.trained.state_dict().values(), planned.network.trained.state_dict().values(), strict=True
    ):
        assert torch.equal(found, expected)


def test_a_failed_step_leaves_no_trace_in_batch_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, planned = learner_of(frozen_norm=False), learner_of(frozen_norm=False)
    refuse(failed, "backward", 4, ERRORS[0], monkeypatch)
    assert gradients(failed, batch_of(), 5, 8)[1] == gradients(planned, batch_of(), 5, 4)[1] == 4
    assert not torch.equal(failed.network.model.blocks[0].norm.running_mean, torch.zeros(4))
    for learner in (failed, planned):
        update(learner, 5, 0.01)
    for found, expected in zip(
        failed.network.trained.state_dict().values(), planned.network.trained.state_dict().values(), strict=True
    ):
        assert torch.equal(found, expected)


def test_without_memory_for_one_image_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = learner_of()
    refuse(learner, "backward", 0, ERRORS[0], monkeypatch)
    with pytest.raises(UnchokeError, match=r"(?s)single image.*2 GB"):
        gradients(learner, batch_of(), 5, 8)


def test_a_small_last_batch_keeps_the_planned_micro_batch() -> None:
    assert gradients(learner_of(), batch_of(3), 0, 8)[1] == 8


@given(rows=st.integers(0, 50), start=st.integers(0, 9), size=st.integers(1, 60))
def test_parts_are_even_and_no_larger_than_asked(rows: int, start: int, size: int) -> None:
    parts = even_parts(slice(start, start + rows), size)
    lengths = [part.stop - part.start for part in parts]
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(start, start + rows))
    assert max(lengths, default=0) <= size and len(lengths) == -(-rows // size)
    assert max(lengths, default=0) - min(lengths, default=0) <= 1 and lengths == sorted(lengths, reverse=True)


def test_one_image_alone_has_no_statistics() -> None:
    learner = learner_of(frozen_norm=False)
    learner.network.trained.pool = nn.Identity()
    learner.network.trained.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(4, affine=False), nn.Flatten())
    assert torch.isfinite(gradients(learner, batch_of(1), 0, 8)[0])


def test_gradients_are_clipped_together() -> None:
    learner, free = learner_of(clip_norm=0.01, optimizer="sgd", momentum=0.0), learner_of(optimizer="sgd", momentum=0.0)
    before = [part.detach().clone() for part in learner.network.trained.parameters()]
    for one in (learner, free):
        gradients(one, batch_of(), 0, 8)
    full = torch.cat([part.ravel() for part in grads(free)])
    assert torch.linalg.vector_norm(full) > 0.01
    for group in learner.optimizer.param_groups:
        group["weight_decay"] = 0.0
    update(learner, 0, 1.0)
    after = learner.network.trained.parameters()
    moved = torch.cat([(one - other).ravel() for one, other in zip(before, after, strict=True)])
    assert float(torch.linalg.vector_norm(moved.detach())) == pytest.approx(0.01, rel=1e-4)
    torch.testing.assert_close(moved / moved.norm(), full / full.norm(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_a_step_on_a_card_puts_every_tensor_there(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []
    with fake_card(monkeypatch) as device:
        network = build(0, 0.4)
        given = SETTINGS | DRAWN | {"precision": precision, "ema": 0.9, "clip_norm": 1.0, "optimizer": "sgd"}
        learner = make_learner(network, given, device, torch.ones(CLASSES), 0.1, 3)
        network.trained.register_forward_hook(lambda _, __, logits: seen.append(logits.dtype))
        batch = batch_of()
        targets = Targets(*(part.to(device) for part in vars(batch.targets).values()))
        loss, _ = gradients(learner, Batch(batch.x, batch.image_id_B, targets), 5, 3)
        assert loss.device.type == "cuda" and set(seen) == {getattr(torch, precision)}
        update(learner, 5, 0.01)
        assert {part.device.type for part in learner.average.tensors.values()} == {"cuda"}
