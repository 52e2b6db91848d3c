"""Losses of masks against NumPy in float64; what is ignored has no part, and parts of a batch add up."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from unchoke.mask_heads.losses import class_weights, loss_of

CLASSES, NAMES = 3, ("cross_entropy", "dice", "focal", "cross_entropy+dice")
SMOOTH = 1e-5
seeds = st.integers(0, 10**6)
each_loss = pytest.mark.parametrize("name", NAMES)


def settings_of(name: str, gamma: float = 2.0, dice: str = "patch") -> dict[str, Any]:
    return {"loss": name, "focal_gamma": gamma, "dice": dice}


def drawn(seed: int, patches: int = 4, side: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, labels of which a part is to be ignored, weights."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(patches, CLASSES, side, side)).astype(np.float32)
    label = rng.choice([0, 1, 2, 255], (patches, side, side), p=[0.5, 0.2, 0.05, 0.25]).astype(np.uint8)
    weights = rng.uniform(0.2, 4, CLASSES).astype(np.float32)
    return torch.from_numpy(logits), torch.from_numpy(label), torch.from_numpy(weights)


# --- by hand, pixel by pixel


def probabilities(logits: torch.Tensor) -> NDArray[np.float64]:
    powers = np.exp(logits.numpy().astype(np.float64))
    return powers / powers.sum(1, keepdims=True)


def focal_by_hand(logits: torch.Tensor, label: torch.Tensor, weights: torch.Tensor, gamma: float) -> float:
    p, total, weight = probabilities(logits), 0.0, 0.0
    for b, y, x in np.ndindex(*label.shape):
        if (true := int(label[b, y, x])) != 255:
            own = p[b, true, y, x]
            total -= float(weights[true]) * (1 - own) ** gamma * np.log(own)
            weight += float(weights[true])
    return total / weight


def dice_by_hand(logits: torch.Tensor, label: torch.Tensor, weights: torch.Tensor) -> float:
    of_patches = []
    for p_KHW, label_HW in zip(probabilities(logits), label.numpy(), strict=True):
        known = label_HW != 255
        parts = []
        for place in np.unique(label_HW[known]):
            p, g = p_KHW[place][known], label_HW[known] == place
            parts.append((float(weights[place]), 1 - 2 * p[g].sum() / ((p**2).sum() + g.sum())))
        if parts:
            of_patches.append(sum(w * d for w, d in parts) / sum(w for w, _ in parts))
    return float(np.mean(of_patches))


def batch_dice_by_hand(logits: torch.Tensor, label: torch.Tensor, weights: torch.Tensor) -> float:
    """That of one patch that holds all pixels."""
    side_by_side = logits.permute(1, 0, 2, 3).flatten(1)[None, :, None]
    return dice_by_hand(side_by_side, label.flatten()[None, None], weights)


def penalty_by_hand(logits: torch.Tensor, label: torch.Tensor, weights: torch.Tensor) -> float:
    of_patches = []
    for p_KHW, label_HW in zip(probabilities(logits), label.numpy(), strict=True):
        known = label_HW != 255
        parts = []
        for place in range(CLASSES):
            p, g = p_KHW[place][known], label_HW[known] == place
            parts.append(1 - (2 * p[g].sum() + SMOOTH) / ((p**2).sum() + g.sum() + SMOOTH))
        of_patches.append(np.average(parts, weights=weights.numpy()))
    return float(np.mean(of_patches))


@pytest.mark.parametrize(("dice", "by_hand"), [("batch", batch_dice_by_hand), ("penalty", penalty_by_hand)])
@given(seed=seeds)
def test_each_dice_is_its_formula(dice: str, by_hand: Any, seed: int) -> None:
    logits, label, weights = drawn(seed)
    label[0, 0, 0] = 1
    found = loss_of(settings_of("dice", dice=dice))(logits, label, weights, None)
    assert float(found) == pytest.approx(by_hand(logits, label, weights), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("dice", "least", "most"), [("patch", 0, 0.02), ("batch", 0.1, 0.6), ("penalty", 0.2, 0.6)])
def test_a_false_blob_costs_what_the_setting_says(dice: str, least: float, most: float) -> None:
    """Of two patches one has the class, found without a fault, the other a blob of it that is not there."""
    label = torch.zeros(2, 40, 40, dtype=torch.uint8)
    label[0, :8, :8] = 1
    found = label.clone()
    found[1, :4, :8] = 1
    logits = 20 * torch.nn.functional.one_hot(found.long(), 2).permute(0, 3, 1, 2).float()
    loss = loss_of(settings_of("dice", dice=dice))
    assert least < float(loss(logits, label, torch.ones(2), None)) < most


@pytest.mark.parametrize("dice", ["batch", "penalty"])
def test_dice_of_ignored_patches_is_0_and_parts_of_equal_patches_add_up(dice: str) -> None:
    logits, label, weights = drawn(2)
    loss = loss_of(settings_of("dice", dice=dice))
    logits.requires_grad_()
    empty = loss(logits, torch.full_like(label, 255), weights, None)
    empty.backward()
    assert empty.item() == 0 and not logits.grad.any()
    both_logits, both = torch.cat([logits.detach()] * 2), torch.cat([label] * 2)
    parts = [loss(logits.detach(), label, weights, both)] * 2
    torch.testing.assert_close(torch.stack(parts).sum(), loss(both_logits, both, weights, None))


@each_loss
@given(seed=seeds, gamma=st.sampled_from([0.0, 0.5, 2.0]))
def test_losses_are_their_formulas(name: str, seed: int, gamma: float) -> None:
    logits, label, weights = drawn(seed)
    by_hand = {
        "cross_entropy": focal_by_hand(logits, label, weights, 0),
        "focal": focal_by_hand(logits, label, weights, gamma),
        "dice": dice_by_hand(logits, label, weights),
    }
    found = loss_of(settings_of(name, gamma))(logits, label, weights, None)
    assert found.shape == () and found.dtype == torch.float32
    assert float(found) == pytest.approx(sum(by_hand[part] for part in name.split("+")), rel=1e-4, abs=1e-6)


@given(seed=seeds)
def test_cross_entropy_is_torchs(seed: int) -> None:
    logits, label, weights = drawn(seed)
    expected = torch.nn.CrossEntropyLoss(weights, ignore_index=255)(logits, label.long())
    torch.testing.assert_close(loss_of(settings_of("cross_entropy"))(logits, label, weights, None), expected)


# --- what is ignored


@each_loss
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_batch_that_is_ignored_gives_0_and_no_gradient(name: str, gamma: float) -> None:
    logits, label, weights = drawn(1)
    logits.requires_grad_()
    loss = loss_of(settings_of(name, gamma))(logits, torch.full_like(label, 255), weights, None)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@each_loss
@given(seed=seeds)
def test_logits_of_ignored_pixels_change_nothing(name: str, seed: int) -> None:
    logits, label, weights = drawn(seed)
    loss = loss_of(settings_of(name))
    other = torch.where((label == 255)[:, None], 50 * torch.ones_like(logits), logits).requires_grad_()
    moved = loss(other, label, weights, None)
    torch.testing.assert_close(moved, loss(logits, label, weights, None), rtol=1e-5, atol=1e-6)
    moved.backward()
    assert not other.grad.masked_select((label == 255)[:, None]).any()


@each_loss
def test_sure_logits_give_finite_gradients(name: str) -> None:
    """p of the true class is 1, or 0, as far as float32 can tell."""
    _, label, weights = drawn(3)
    for sign in (1, -1):
        true = torch.nn.functional.one_hot(label.long().clamp_max(2), CLASSES).permute(0, 3, 1, 2)
        logits = (sign * 1e3 * true.float()).requires_grad_()
        loss_of(settings_of(name, 0.5))(logits, label, weights, None).backward()
        assert torch.isfinite(logits.grad).all()


# --- in parts


@each_loss
@given(seed=seeds, size=st.integers(1, 4))
def test_parts_of_a_batch_add_up(name: str, seed: int, size: int) -> None:
    logits, label, weights = drawn(seed)
    label[1] = 255
    loss, whole_logits, part_logits = loss_of(settings_of(name)), logits.clone(), logits.clone()
    whole = loss(whole_logits.requires_grad_(), label, weights, None)
    whole.backward()
    part_logits.requires_grad_()
    parts = [
        loss(some, its, weights, label) for some, its in zip(part_logits.split(size), label.split(size), strict=True)
    ]
    torch.stack(parts).sum().backward()
    torch.testing.assert_close(torch.stack(parts).sum(), whole)
    torch.testing.assert_close(part_logits.grad, whole_logits.grad, rtol=1e-4, atol=1e-7)


def test_focal_turns_from_what_is_easy() -> None:
    label, weights = torch.zeros(1, 1, 1, dtype=torch.uint8), torch.ones(2)
    easy, hard = (torch.tensor([[[[x]], [[0.0]]]]) for x in (4.0, -1.0))
    plain, focal = loss_of(settings_of("cross_entropy")), loss_of(settings_of("focal"))
    shares = [float(focal(x, label, weights, None) / plain(x, label, weights, None)) for x in (easy, hard)]
    assert shares[0] < 0.001 and shares[1] > 0.5


def test_balanced_weights_are_scikit_learns() -> None:
    label_N = np.repeat([0, 1, 2], [50, 8, 1])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=label_N)
    np.testing.assert_allclose(class_weights(np.bincount(label_N), "balanced").numpy(), expected, rtol=1e-6)
    assert class_weights(np.bincount(label_N), "none").tolist() == [1, 1, 1]
