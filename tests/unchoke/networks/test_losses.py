"""The loss against torch's own, in parts and with mixed targets worked out in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unchoke.networks.losses import Targets, loss_sum, total_weight, weighted_targets

LABELS = torch.tensor([0, 2, 1, 1, 2, 0, 1])
WEIGHTS = torch.tensor([0.5, 1.0, 2.5])
LOGITS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))


def loss_of(targets: Targets, smoothing: float, size: int) -> float:
    total = total_weight(targets, WEIGHTS)
    rows = [slice(start, start + size) for start in range(0, 7, size)]
    parts = [loss_sum(LOGITS[part], weighted_targets(targets, part, WEIGHTS, smoothing)) for part in rows]
    return float(sum(parts) / total)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@given(size=st.integers(1, 7))
def test_the_loss_is_torchs_in_any_parts(smoothing: float, size: int) -> None:
    expected = torch.nn.CrossEntropyLoss(WEIGHTS, label_smoothing=smoothing)(LOGITS, LABELS)
    assert loss_of(Targets(LABELS), smoothing, size) == pytest.approx(float(expected), rel=1e-6)


@given(size=st.integers(1, 7))
def test_mixed_images_have_the_loss_of_both_labels(size: int) -> None:
    partner, share = torch.tensor([3, 0, 2, 5, 1, 6, 4]), torch.linspace(0, 1, 7)
    log_p = LOGITS.double().numpy() - np.log(np.exp(LOGITS.double().numpy()).sum(1, keepdims=True))
    weight, own, other, s = WEIGHTS.double().numpy(), LABELS.numpy(), LABELS[partner].numpy(), share.double().numpy()
    rows = np.arange(7)
    losses = -s * weight[own] * log_p[rows, own] - (1 - s) * weight[other] * log_p[rows, other]
    expected = losses.sum() / (s * weight[own] + (1 - s) * weight[other]).sum()
    assert loss_of(Targets(LABELS, partner, share), 0.0, size) == pytest.approx(expected, rel=1e-6)
