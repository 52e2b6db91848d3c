"""Each change against NumPy, or torchvision; an image's changes whatever batch it is in."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tv

from unchoke.networks import augment
from unchoke.networks.augment import CHANGES, mixed_pairs

pytestmark = pytest.mark.usefixtures("one_thread")
sides = st.integers(1, 9)


def images(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, 3, height, width), np.uint8))


def drawn(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)


@given(height=sides, width=sides, seed=st.integers(0, 9), epoch=st.integers(0, 9), cut=st.integers(1, 6))
def test_an_image_changes_in_the_same_way_in_any_batch(
    height: int, width: int, seed: int, epoch: int, cut: int
) -> None:
    whole, ids = images(6, height, width), np.array([4, 9, 1, 77, 3, 0])
    together = augment.augment(whole, list(CHANGES), seed, epoch, ids, 2)
    assert together.dtype == torch.uint8 and together.shape == whole.shape
    parts = [
        augment.augment(whole[part], list(CHANGES)[::-1], seed, epoch, ids[part], 2)
        for part in (slice(0, cut), slice(cut, 6))
        if len(ids[part])
    ]
    assert torch.equal(torch.cat(parts), together)


@given(height=sides, width=sides, reach=st.integers(1, 12), y=st.floats(0, 0.999), x=st.floats(0, 0.999))
def test_a_shift_is_a_window_of_the_padded_image(height: int, width: int, reach: int, y: float, x: float) -> None:
    [image] = images(1, height, width)
    moved = augment.shift(image[None], drawn([y, x]), reach)[0]
    down, right = (int(np.float32(u) * np.float32(2 * reach + 1)) - reach for u in (y, x))
    assert abs(down) <= reach and abs(right) <= reach
    padded = np.pad(image.numpy(), ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    expected = padded[:, reach - down :, reach - right :][:, :height, :width]
    np.testing.assert_array_equal(moved, expected)


def test_flips_and_turns_are_all_positions_and_each_equally_often() -> None:
    image = images(1, 3, 3)
    many, draws = image.expand(8, -1, -1, -1), (torch.arange(8)[:, None] + 0.5) / 8
    turned = augment.turns(many, draws)
    square = image[0].numpy()
    positions = {np.rot90(side, k, (1, 2)).tobytes() for side in (square, square[..., ::-1]) for k in range(4)}
    assert {one.numpy().tobytes() for one in turned} == positions and len(positions) == 8
    oblong = augment.turns(images(1, 2, 3).expand(8, -1, -1, -1), draws)
    assert len({one.numpy().tobytes() for one in oblong}) == 4
    for change, axis in ((augment.hflip, 3), (augment.vflip, 2)):
        found = change(many, draws)
        assert torch.equal(found[:4], many[:4].flip(axis)) and torch.equal(found[4:], many[4:])


def test_a_crop_is_torchvisions_resized_crop_where_its_edges_are_whole_px() -> None:
    image = images(1, 50, 100)
    side = 0.8  # of 64 % of the area: 40 × 80 px, at 5 of 10 and 5 of 20 px
    found = augment.crop(image, drawn([0.0, 0.25, 0.5]))
    left, top = 0.25 * 100 * (1 - side), 0.5 * 50 * (1 - side)
    expected = tv.resized_crop(image, round(top), round(left), 40, 80, [50, 100], antialias=False)
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # its border reads no pixels beyond the crop
    np.testing.assert_allclose(found[inner].int(), expected[inner].int(), atol=1)
    assert torch.equal(augment.crop(image, drawn([1.0, 0.3, 0.6])), image)


@given(numbers=st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_colours_are_torchvisions(numbers: list[float]) -> None:
    image = images(2, 5, 7)
    found = augment.colour(image, drawn(numbers, numbers))
    bright, contrast, saturation = (1 + 0.2 * (2 * number - 1) for number in numbers)
    expected = tv.adjust_brightness(image.double() / 255, bright)
    expected = tv.adjust_saturation(tv.adjust_contrast(expected, contrast), saturation)
    np.testing.assert_allclose(found, 255 * expected, atol=0.51)


@given(size=st.integers(1, 30), alpha=st.floats(0.1, 5), step=st.integers(0, 99))
def test_mixed_pairs_are_a_permutation_with_shares(size: int, alpha: float, step: int) -> None:
    partner, share = mixed_pairs(1, step, size, alpha)
    assert sorted(partner.tolist()) == list(range(size))
    assert share.dtype == np.float32 and (share >= 0).all() and (share <= 1).all()
    again = mixed_pairs(1, step, size, alpha)
    assert (again[0] == partner).all() and (again[1] == share).all()


def test_shares_have_the_deviation_of_their_beta_distribution() -> None:
    share = mixed_pairs(0, 0, 20_000, 0.4)[1]
    assert share.mean() == pytest.approx(0.5, abs=0.01)
    assert share.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.03)  # of Beta(a, a)
