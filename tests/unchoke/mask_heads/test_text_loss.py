"""The loss of text heads against NumPy in float64; parts of a batch add up; a head learns words from it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_trainings import Drawn, fit_head, mask_settings

from unchoke.mask_heads.head import predict
from unchoke.mask_heads.losses import loss_of
from unchoke.mask_heads.text_loss import THRESHOLD, text_loss

WEIGHTS = torch.ones(2)
CHANNELS, STRIDES, SIDE = {"s4": 3}, {"s4": 4}, 32
seeds = st.integers(0, 10**6)

pytestmark = pytest.mark.usefixtures("one_thread")


def drawn(seed: int, patches: int = 4, side: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs with their targets of the threshold, and labels of which a part is to be ignored."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(patches, 3, side, side))
    target = np.where(rng.random((patches, 1, side, side)) < 0.4, rng.uniform(0.3, 0.7, (patches, 1, side, side)), 1.0)
    label = rng.choice([0, 1, 255], (patches, side, side), p=[0.7, 0.2, 0.1]).astype(np.uint8)
    label[0][label[0] == 1] = 0  # a patch without text
    return torch.from_numpy(np.concatenate([logits, target], 1).astype(np.float32)), torch.from_numpy(label)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def by_hand(outputs: torch.Tensor, label: torch.Tensor) -> float:
    """Patch by patch: cross-entropy with the hardest negatives; L1 in the bands; Dice of all pixels together."""
    o, g = outputs.numpy().astype(np.float64), label.numpy()
    p, t, target = sigmoid(o[:, 1] - o[:, 0]), sigmoid(o[:, 2]), o[:, 3]
    text = (g == 1).sum()
    total, count, borders = 0.0, 0, 0.0
    for p_HW, g_HW, t_HW, target_HW in zip(p, g, t, target, strict=True):
        wanted = min((g_HW == 0).sum(), max(3 * (g_HW == 1).sum(), 3 * text // len(g)))
        hardest = np.sort(-np.log(1 - p_HW[g_HW == 0]))[::-1][:wanted]
        total += -np.log(p_HW[g_HW == 1]).sum() + hardest.sum()
        count += (g_HW == 1).sum() + wanted
        band = target_HW < 1
        if band.any() and (g_HW == 1).any():
            borders += np.abs(t_HW - target_HW)[band].mean()
    b = sigmoid(50 * (p - t))
    dice = 1 - 2 * b[g == 1].sum() / (b[g != 255].sum() + text)
    return float(total / count + 10 * borders / (g == 1).any((1, 2)).sum() + dice)


@given(seed=seeds)
def test_it_is_its_formula(seed: int) -> None:
    outputs, label = drawn(seed)
    assert float(loss_of({"loss": "db"})(outputs, label, WEIGHTS, None)) == pytest.approx(
        by_hand(outputs, label), rel=1e-4
    )


@given(seed=seeds)
def test_parts_add_up_but_for_dice_and_equal_parts_add_up(seed: int) -> None:
    outputs, label = drawn(seed)
    both_outputs, both = torch.cat([outputs] * 2), torch.cat([label] * 2)
    parts = [text_loss(outputs, label, WEIGHTS, both)] * 2
    torch.testing.assert_close(torch.stack(parts).sum(), text_loss(both_outputs, both, WEIGHTS))


def test_a_batch_that_is_ignored_gives_0_and_no_gradient() -> None:
    outputs, label = drawn(1)
    outputs[:, 3] = 1
    outputs.requires_grad_()
    loss = text_loss(outputs, torch.full_like(label, 255), WEIGHTS)
    loss.backward()
    assert loss.item() == 0 and not outputs.grad.any()


def test_sure_answers_give_finite_gradients() -> None:
    outputs, label = drawn(3)
    outputs = (1000 * outputs.sign()).requires_grad_()
    text_loss(outputs, label, WEIGHTS).backward()
    assert torch.isfinite(outputs.grad).all()


def words(patches: int, seed: int) -> Drawn:
    """Patches with one bright bar each, its border's band of targets, and features that show it."""
    rng = np.random.default_rng(seed)
    label = np.zeros((patches, SIDE, SIDE), np.uint8)
    threshold = np.full((patches, 1, SIDE, SIDE), 255, np.uint8)
    for place, (y, x) in enumerate(4 * rng.integers(1, 4, (patches, 2))):
        threshold[place, 0, y - 2 : y + 10, x - 2 : x + 14] = 77
        label[place, y : y + 8, x : x + 12] = 1
    means = label.reshape(patches, SIDE // 4, 4, SIDE // 4, 4).mean((2, 4))
    noise = 0.1 * rng.normal(size=(patches, 3, SIDE // 4, SIDE // 4))
    maps = {"s4": (means[:, None] * np.array([1, -1, 0.5])[:, None, None] + noise).astype(np.float16)}
    return Drawn(CHANNELS, STRIDES, {**maps, THRESHOLD: threshold}, label)


def test_a_head_finds_words_and_its_training_has_the_threshold() -> None:
    settings = mask_settings("db", loss="db", epochs=30, learning_rates=[0.01], seeds=[0])
    head = fit_head(settings, None, train=words(24, 0), val=words(8, 1), n_classes=2)
    assert head.curves["val_iou"][-1].item() > 0.88
    val = words(8, 1)
    probability_B2SS = predict(head.modules(), {"s4": val.maps["s4"]})
    np.testing.assert_allclose(probability_B2SS.sum(1), 1, rtol=1e-5)
    assert (probability_B2SS[:, 1] > 0.5)[val.label == 1].mean() > 0.9
    border = head.modules()[0].with_threshold({"s4": torch.from_numpy(val.maps["s4"]).float()})[1].sigmoid().numpy()
    band = val.maps[THRESHOLD] == 77
    assert abs(border[band].mean() - 77 / 255) < 0.15


def test_a_text_head_refuses_more_than_two_classes() -> None:
    with pytest.raises(ValueError, match="2 classes"):
        fit_head(mask_settings("db", loss="db"), None, train=words(4, 0), val=words(4, 1), n_classes=3)
