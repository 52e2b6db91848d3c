"""Overlaps of masks agree with scikit-learn, and their intervals with leaving images out by hand."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import t
from sklearn.metrics import f1_score, jaccard_score

from unchoke.metrics import iou

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
    counts_KK = iou.counts_of(label, predicted, CLASSES)
    true_N, found_N = label[label != 255], predicted[label != 255]
    assert counts_KK.dtype == np.int64 and counts_KK.sum() == len(true_N)
    for ours, mean, theirs in (
        (iou.iou, iou.mean_iou, jaccard_score),
        (iou.dice, iou.mean_dice, f1_score),
    ):
        if not len(true_N):
            assert np.isnan(ours(counts_KK)).all() and np.isnan(mean(counts_KK))
            continue
        expected = theirs(true_N, found_N, labels=range(CLASSES), average=None)
        nowhere = ~np.isin(np.arange(CLASSES), [*true_N, *found_N])
        np.testing.assert_allclose(ours(counts_KK), np.where(nowhere, np.nan, expected))
        either = np.unique([*true_N, *found_N])
        assert mean(counts_KK) == pytest.approx(theirs(true_N, found_N, labels=either, average="macro"))
        in_truth = jaccard_score(true_N, found_N, labels=np.unique(true_N), average="macro")
        assert iou.mean_iou_in_truth(counts_KK) == pytest.approx(in_truth)
        assert iou.pixel_accuracy(counts_KK) == pytest.approx((true_N == found_N).mean())


@given(st.lists(pixels, min_size=2, max_size=4))
def test_counts_of_parts_add_up_to_those_of_the_whole(parts: list[tuple[NDArray[Any], NDArray[Any]]]) -> None:
    apart = sum(iou.counts_of(label, predicted, CLASSES) for label, predicted in parts)
    label_N, predicted_N = (np.concatenate([part[side].ravel() for part in parts]) for side in (0, 1))
    np.testing.assert_array_equal(apart, iou.counts_of(label_N, predicted_N, CLASSES))


def test_a_class_that_is_predicted_but_absent_counts_by_name() -> None:
    """By hand: truth 6 × 0, 2 × 1; found 4 × 0, 1 × 1, and 3 × a class that is nowhere in the truth."""
    label_N, found_N = np.array([0] * 6 + [1] * 2), np.array([0, 0, 0, 0, 2, 2, 1, 2])
    counts_KK = iou.counts_of(label_N, found_N, CLASSES)
    assert iou.mean_iou_in_truth(counts_KK) == pytest.approx((4 / 6 + 1 / 2) / 2)
    assert iou.mean_iou(counts_KK) == pytest.approx((4 / 6 + 1 / 2 + 0) / 3)  # class 3, nowhere, has no part
    assert iou.mean_dice(counts_KK) == pytest.approx((8 / 10 + 2 / 3 + 0) / 3)
    for name in iou.MEAN_IOUS:
        assert iou.chosen_mean_iou(counts_KK, name) == getattr(iou, name)(counts_KK)


def test_the_mean_over_images_weighs_small_images_as_large_ones() -> None:
    """A large image that is right, a small one that is wrong, one without a label."""
    counts_IKK = np.array([[[900, 0], [0, 100]], [[0, 10], [10, 0]], [[0, 0], [0, 0]]])
    found = iou.summarise(counts_IKK, None).figures
    assert found["mean_iou"].value == pytest.approx((900 / 920 + 100 / 120) / 2)
    image = found["image_mean_iou"]
    assert (image.value, image.sd) == (pytest.approx(0.5), pytest.approx(np.std([1, 0], ddof=1)))
    assert (image.low, image.high) == pytest.approx((0, 1), abs=1e-6)  # two images tell nothing of others


def test_rows_are_the_truth() -> None:
    assert iou.counts_of(np.array([0, 0, 1]), np.array([1, 1, 1]), 2).tolist() == [[0, 2], [0, 1]]


# --- intervals


def some_counts(images: int) -> NDArray[np.int64]:
    """Images of very different size and quality; class 3 is in the first alone."""
    rng = np.random.default_rng(images)
    counts_IKK = rng.integers(0, 400, (images, CLASSES, CLASSES)) + 900 * np.eye(CLASSES, dtype=np.int64)
    counts_IKK *= rng.integers(1, 9, images)[:, None, None]
    counts_IKK[1:, 3] = counts_IKK[1:, :, 3] = 0
    return counts_IKK


@pytest.mark.parametrize("grouped", [False, True], ids=["images", "groups"])
def test_intervals_are_those_of_leaving_out_by_hand(grouped: bool) -> None:
    counts_IKK = some_counts(12)[..., :3, :3]
    group_I = np.repeat(["a", "b", "c", "d"], 3).astype(object) if grouped else None
    found = iou.summarise(counts_IKK, group_I)
    units = np.arange(12).reshape(4, 3) if grouped else np.arange(12)[:, None]
    rest = [np.delete(counts_IKK, members, 0).sum(0) for members in units]
    for name, ours in (*found.figures.items(), *((name, found.per_class[name][1]) for name in ("iou", "dice"))):
        if name.startswith("image_"):
            continue
        value, *values = [
            float(np.ravel(getattr(iou, name)(counts_KK))[1 if name in ("iou", "dice") else 0])
            for counts_KK in (counts_IKK.sum(0), *rest)
        ]
        variance = (len(units) - 1) / len(units) * sum((other - np.mean(values)) ** 2 for other in values)
        half_width = t.ppf(0.975, len(units) - 1) * np.sqrt(variance) / (value * (1 - value))
        assert (ours.value, ours.low, ours.high) == pytest.approx(
            (value, *expit(logit(value) + np.array([-half_width, half_width])))
        )
        assert ours.units == len(units)


@pytest.mark.parametrize("name", iou.MEAN_IOUS)
def test_means_over_images_have_their_own_spread_and_interval(name: str) -> None:
    counts_IKK = some_counts(12)
    image_I = np.array([getattr(iou, name)(counts_KK) for counts_KK in counts_IKK])
    ours, mean = iou.summarise(counts_IKK).figures[f"image_{name}"], image_I.mean()
    assert (ours.value, ours.sd) == (pytest.approx(mean), pytest.approx(image_I.std(ddof=1)))
    half_width = t.ppf(0.975, 11) * image_I.std(ddof=1) / np.sqrt(12)
    on_logits = half_width / (mean * (1 - mean))
    assert (ours.low, ours.high) == pytest.approx(tuple(expit(logit(mean) + np.array([-on_logits, on_logits]))))
    plain = iou.mean_over_images(10 * image_I)  # a figure of any size, as a distance
    assert (plain.low, plain.high) == pytest.approx((10 * (mean - half_width), 10 * (mean + half_width)))


def test_a_class_that_is_nowhere_has_no_figure_and_one_that_is_in_one_image_no_interval() -> None:
    counts_IKK = some_counts(5)
    found = iou.summarise(counts_IKK, None)
    rare = found.per_class["iou"][3]
    assert np.isfinite(rare.value) and np.isnan([rare.low, rare.high]).all()
    counts_IKK[0, 3] = counts_IKK[0, :, 3] = 0
    nowhere = iou.summarise(counts_IKK, None).per_class["dice"][3]
    assert np.isnan([nowhere.value, nowhere.low, nowhere.high]).all()


def test_one_image_or_one_group_has_no_interval() -> None:
    for counts_IKK, group_I in ((some_counts(1), None), (some_counts(3), np.array(["a"] * 3, object))):
        found = iou.summarise(counts_IKK, group_I).figures["mean_iou"]
        assert np.isfinite(found.value) and np.isnan([found.low, found.high, found.sd]).all()


def test_counts_of_slides_are_not_rounded() -> None:
    counts_IKK = np.array([[[2**40 + 1, 0], [1, 2**40]]] * 2)
    found = iou.summarise(counts_IKK, None).figures["pixel_accuracy"]
    assert found.value == 1 - 2 / (2 * counts_IKK[0].sum())
