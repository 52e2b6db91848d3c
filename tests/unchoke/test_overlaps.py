"""Overlaps of masks agree with scikit-learn, and their intervals with resampling by hand."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn.metrics import f1_score, jaccard_score

from unchoke import overlaps
from unchoke.evaluation import Bootstrap

CLASSES = 4
pixels = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: st.tuples(
        arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 3, 255])),
        arrays(np.uint8, shape, elements=st.integers(0, CLASSES - 1)),
    )
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn remarks on classes that do not occur
        yield


@given(pixels)
def test_overlaps_are_scikit_learns_on_the_pixels_that_are_not_ignored(pair: tuple[NDArray[Any], NDArray[Any]]) -> None:
    label, predicted = pair
    counts_KK = overlaps.counts_of(label, predicted, CLASSES)
    true_N, found_N = label[label != 255], predicted[label != 255]
    assert counts_KK.dtype == np.int64 and counts_KK.sum() == len(true_N)
    for ours, mean, theirs in (
        (overlaps.iou, overlaps.mean_iou, jaccard_score),
        (overlaps.dice, overlaps.mean_dice, f1_score),
    ):
        if not len(true_N):
            assert np.isnan(ours(counts_KK)).all() and np.isnan(mean(counts_KK))
            continue
        expected = theirs(true_N, found_N, labels=range(CLASSES), average=None)
        nowhere = ~np.isin(np.arange(CLASSES), [*true_N, *found_N])
        np.testing.assert_allclose(ours(counts_KK), np.where(nowhere, np.nan, expected))
        in_truth = theirs(true_N, found_N, labels=np.unique(true_N), average="macro")
        assert mean(counts_KK) == pytest.approx(in_truth)
        assert overlaps.pixel_accuracy(counts_KK) == pytest.approx((true_N == found_N).mean())


@given(st.lists(pixels, min_size=2, max_size=4))
def test_counts_of_parts_add_up_to_those_of_the_whole(parts: list[tuple[NDArray[Any], NDArray[Any]]]) -> None:
    apart = sum(overlaps.counts_of(label, predicted, CLASSES) for label, predicted in parts)
    label_N, predicted_N = (np.concatenate([part[side].ravel() for part in parts]) for side in (0, 1))
    np.testing.assert_array_equal(apart, overlaps.counts_of(label_N, predicted_N, CLASSES))


def test_rows_are_the_truth() -> None:
    assert overlaps.counts_of(np.array([0, 0, 1]), np.array([1, 1, 1]), 2).tolist() == [[0, 2], [0, 1]]


# --- intervals


def some_counts(images: int) -> NDArray[np.int64]:
    """Images of very different size and quality; class 3 is in the first alone."""
    rng = np.random.default_rng(images)
    counts_IKK = rng.integers(0, 400, (images, CLASSES, CLASSES)) + 900 * np.eye(CLASSES, dtype=np.int64)
    counts_IKK *= rng.integers(1, 9, images)[:, None, None]
    counts_IKK[1:, 3] = counts_IKK[1:, :, 3] = 0
    return counts_IKK


@pytest.mark.parametrize("grouped", [False, True], ids=["images", "groups"])
def test_intervals_are_those_of_resampling_by_hand(grouped: bool) -> None:
    counts_IKK = some_counts(12)
    group_I = np.repeat(["a", "b", "c", "d"], 3).astype(object) if grouped else None
    found = overlaps.summarise(counts_IKK, group_I, Bootstrap(resamples=4000, seed=1))
    members = np.arange(12).reshape(4, 3) if grouped else np.arange(12)[:, None]
    rng = np.random.default_rng(7)
    drawn = [counts_IKK[members[rng.integers(0, len(members), len(members))].ravel()].sum(0) for _ in range(4000)]
    for name, ours in (*found.figures.items(), *((name, found.per_class[name][1]) for name in ("iou", "dice"))):
        values = np.array([getattr(overlaps, name)(counts_KK) for counts_KK in drawn])
        values = values if values.ndim == 1 else values[:, 1]
        low, high = np.quantile(values, [0.025, 0.975])
        assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.15 * (high - low))
        value = getattr(overlaps, name)(counts_IKK.sum(0))
        assert ours.value == pytest.approx(value if value.ndim == 0 else value[1])


def test_a_class_that_is_nowhere_has_no_figure_and_a_rare_one_that_of_the_resamples_which_have_it() -> None:
    counts_IKK = some_counts(5)
    found = overlaps.summarise(counts_IKK, None, Bootstrap(resamples=200))
    rare = found.per_class["iou"][3]
    assert rare.low == pytest.approx(rare.value) and rare.high == pytest.approx(rare.value)  # it is in one image
    counts_IKK[0, 3] = counts_IKK[0, :, 3] = 0
    nowhere = overlaps.summarise(counts_IKK, None, Bootstrap(resamples=50)).per_class["dice"][3]
    assert np.isnan([nowhere.value, nowhere.low, nowhere.high]).all()


def test_one_image_or_one_group_has_no_interval() -> None:
    for counts_IKK, group_I in ((some_counts(1), None), (some_counts(3), np.array(["a"] * 3, object))):
        found = overlaps.summarise(counts_IKK, group_I).figures["mean_iou"]
        assert np.isfinite(found.value) and np.isnan([found.low, found.high, found.sd]).all()


def test_counts_of_slides_are_not_rounded() -> None:
    counts_IKK = np.array([[[2**40 + 1, 0], [1, 2**40]]] * 2)
    found = overlaps.summarise(counts_IKK, None, Bootstrap(resamples=10)).figures["pixel_accuracy"]
    assert found.high == found.value == 1 - 2 / (2 * counts_IKK[0].sum())
