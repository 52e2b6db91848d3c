"""HD95 against distance transforms and by hand; what is undefined is NaN, and what is too large is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from unchoke.errors import UnchokeError
from unchoke.metrics import distances
from unchoke.metrics.distances import hd95

CLASSES = 3
pairs = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: st.tuples(*[arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 255]))] * 2)
)


def edges(mask_HW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask with one of four neighbours outside it, or outside the image."""
    padded = np.pad(mask_HW, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask_HW & ~inner


@given(pairs)
def test_hd95_is_that_of_distance_transforms(pair: tuple[NDArray[Any], NDArray[Any]]) -> None:
    truth, predicted = pair
    known = (truth != 255) & (predicted != 255)
    found = hd95(truth, predicted, CLASSES, "image")
    for place in range(CLASSES):
        one, other = (edges((mask == place) & known) for mask in pair)
        if not one.any() or not other.any():
            assert np.isnan(found[place])
            continue
        there, back = distance_transform_edt(~other)[one], distance_transform_edt(~one)[other]
        assert found[place] == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))


def test_a_moved_square_is_as_far_as_it_was_moved_and_a_speck_counts_by_its_share() -> None:
    truth = np.zeros((60, 60), np.uint8)
    truth[10:20, 10:20] = 1
    assert hd95(truth, np.roll(truth, 3, axis=1), 2, "image")[1] == 3
    speck = truth.copy()
    speck[15, 50] = 1  # 1 point of 37, 31 px away: below the 95th percentile
    assert hd95(truth, speck, 2, "image")[1] == 0
    alone = np.zeros_like(truth)
    alone[15, 50] = 1  # its nearest point is (15, 19); the other way the corner is (10 or 19, 10)
    back = np.sort([np.hypot(y - 15, x - 50) for y, x in np.argwhere(edges(truth == 1))])
    assert hd95(truth, alone, 2, "image")[1] == pytest.approx(max(31, np.percentile(back, 95)))


@pytest.mark.parametrize("limit", ["MOST_PIXELS", "MOST_POINTS"])
def test_what_does_not_fit_into_memory_is_refused_by_name(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, limit, 20)
    mask = np.ones((9, 9), np.uint8)
    with pytest.raises(UnchokeError, match=r"at most 20(.|\n)*image 7"):
        hd95(mask, mask, 2, "image 7")
