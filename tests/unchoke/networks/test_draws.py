"""Random numbers of images: those of NumPy's Philox at their own counter, in whatever batch they are drawn."""

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.networks.draws import generator_of, uniforms

image_ids = st.lists(st.integers(0, 2**62), min_size=1, max_size=8, unique=True).map(np.array)


@given(ids=image_ids, seed=st.integers(0, 2**32), time=st.integers(0, 10**9), count=st.integers(1, 40))
def test_an_image_has_the_numbers_of_a_stream_of_its_own(ids: np.ndarray, seed: int, time: int, count: int) -> None:
    drawn = uniforms(seed, time, ids, "blocks.3.drop_path", count)
    key = np.array([seed, zlib.crc32(b"blocks.3.drop_path")], np.uint64)
    for image_id, row in zip(ids, drawn, strict=True):
        counter = np.array([0, image_id, time, 0], np.uint64)
        own = np.random.Generator(np.random.Philox(key=key, counter=counter))
        np.testing.assert_array_equal(row, own.random(count, np.float32))


@given(ids=image_ids, order=st.randoms(), cut=st.integers(0, 8))
def test_order_and_cuts_of_a_batch_change_no_number(ids: np.ndarray, order: object, cut: int) -> None:
    shuffled = ids.copy()
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    whole = dict(zip(ids.tolist(), uniforms(1, 2, ids, "x", 5).tolist(), strict=True))
    parts = [uniforms(1, 2, part, "x", 5) for part in (shuffled[:cut], shuffled[cut:])]
    assert np.concatenate(parts).tolist() == [whole[image_id] for image_id in shuffled.tolist()]


def test_numbers_of_other_seeds_times_images_and_places_are_others_and_uniform() -> None:
    drawn = [
        uniforms(seed, time, np.arange(50), place, 20) for seed in (0, 1) for time in (0, 1) for place in ("a", "b")
    ]
    values = np.concatenate([part.ravel() for part in drawn])
    assert len(np.unique(values)) > 0.99 * len(values)  # 24 bits: some pairs of 8,000 are equal
    assert values.min() >= 0 and values.max() < 1
    np.testing.assert_allclose(np.histogram(values, 10, (0, 1))[0] / len(values), 0.1, atol=0.015)


@pytest.mark.parametrize("other", [(1, 2, "mixup"), (0, 3, "mixup"), (0, 2, "order")], ids=str)
def test_a_batch_has_numbers_by_seed_time_and_place(other: tuple[int, int, str]) -> None:
    again = [generator_of(0, 2, "mixup").random(4).tolist() for _ in range(2)]
    assert again[0] == again[1] != generator_of(*other).random(4).tolist()
