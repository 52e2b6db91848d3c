"""Rows of features by split: what is drawn, averaged, weighed and scored, against NumPy and scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from small_features import clouds, make_manifest, make_store, rows_of

from unchoke.errors import UnchokeError
from unchoke.heads.rows import class_weights, draw_shots, moments, overlap_warnings, score, split_rows
from unchoke.heads.scores import average_views
from unchoke.store.read import FeatureStore

CPU = torch.device("cpu")
ONE_VIEW = {"pool": "avg", "train_views": ["identity"], "test_views": ["identity"]}
TWO_VIEWS = {"pool": "avg", "train_views": ["identity", "hflip"], "test_views": ["hflip"]}
LABELS = ["a", "b", "a", "b", "a", "b", "a", "b", "b"]
SPLITS = ["train"] * 4 + ["val"] * 2 + ["test"] * 3
MANIFEST = make_manifest(LABELS, SPLITS)
X = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float16)


def stores_of(folder: Path, x_ND: np.ndarray = X, **views: np.ndarray) -> dict[str, FeatureStore]:
    return {
        view: make_store(folder / f"{view}.zarr", values, view=view)
        for view, values in {"identity": x_ND, **views}.items()
    }


# --- rows of a split


def test_rows_are_those_of_the_split_in_the_order_of_the_ids(tmp_path: Path) -> None:
    manifest = MANIFEST.assign(group=["", "g", "", "", "h", "", "", "h", "i"])
    classes, found = split_rows(stores_of(tmp_path), manifest, ONE_VIEW, CPU)
    assert classes == ["a", "b"]
    for split, ids in (("train", [0, 1, 2, 3]), ("val", [4, 5]), ("test", [6, 7, 8])):
        np.testing.assert_array_equal(found[split].x_ND, X[ids])
        assert [classes[place] for place in found[split].y_N] == [LABELS[image] for image in ids]
        assert found[split].image_id_N.tolist() == ids
        assert found[split].group_N.tolist() == manifest["group"][ids].tolist()


def test_the_rows_of_two_views_stand_one_after_the_other(tmp_path: Path) -> None:
    flipped = X[:, ::-1] + np.float16(1)
    _, found = split_rows(stores_of(tmp_path, hflip=flipped), MANIFEST, TWO_VIEWS, CPU)
    np.testing.assert_array_equal(found["train"].x_ND, np.concatenate([X[:4], flipped[:4]]))
    assert found["train"].labels().tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert found["train"].image_id_N.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(found["test"].x_ND, flipped[6:])


def test_an_image_that_one_view_could_not_read_takes_no_part(tmp_path: Path) -> None:
    valid = np.ones(9, bool)
    valid[2] = False
    stores = stores_of(tmp_path) | {"hflip": make_store(tmp_path / "hflip.zarr", X, valid, view="hflip")}
    _, found = split_rows(stores, MANIFEST, TWO_VIEWS, CPU)
    assert found["train"].image_id_N.tolist() == [0, 1, 3]


def test_a_class_with_one_training_image_is_a_class(tmp_path: Path) -> None:
    manifest = make_manifest([*LABELS[:-1], "c"], [*SPLITS[:-1], "train"])
    classes, found = split_rows(stores_of(tmp_path), manifest, ONE_VIEW, CPU)
    assert classes == ["a", "b", "c"] and found["train"].y_N.tolist() == [0, 1, 0, 1, 2]


@pytest.mark.parametrize(("positive", "expected"), [(None, ["a", "b"]), ("b", ["a", "b"]), ("a", ["b", "a"])])
def test_a_head_is_chosen_by_the_average_precision_of_the_positive_class(
    tmp_path: Path, positive: str | None, expected: list[str]
) -> None:
    settings = ONE_VIEW | ({} if positive is None else {"positive": positive})
    classes, found = split_rows(stores_of(tmp_path), MANIFEST, settings, CPU)
    assert classes == expected
    test = found["test"]
    assert [classes[place] for place in test.y_N] == ["a", "b", "b"]
    logits = torch.tensor([[0.0, 1], [0, 2], [0, 0]])
    of_positive = average_precision_score(test.y_N == 1, [1, 2, 0])
    assert float(score(logits, test, "average_precision")) == pytest.approx(of_positive)


# --- bad input


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("image", [1, 5, 8])
def test_features_that_are_not_finite_are_named(wrong: float, image: int, tmp_path: Path) -> None:
    bad = X.copy()
    bad[image, 1] = wrong
    with pytest.raises(UnchokeError, match=rf"(?s)not finite.*image_id {image}\n.*identity\.zarr.*delete it and run"):
        split_rows(stores_of(tmp_path, bad), MANIFEST, ONE_VIEW, CPU)


def test_those_of_a_second_view_are_named_by_their_image(tmp_path: Path) -> None:
    bad = X.copy()
    bad[3, 0] = np.nan
    with pytest.raises(UnchokeError, match="1 images, image_id 3"):
        split_rows(stores_of(tmp_path, hflip=bad), MANIFEST, TWO_VIEWS, CPU)


def test_what_is_not_finite_in_images_that_no_head_uses_does_not_matter(tmp_path: Path) -> None:
    bad = X.copy()
    bad[0] = np.nan
    manifest = MANIFEST.assign(excluded=["vanished", *[""] * 8])
    assert split_rows(stores_of(tmp_path, bad), manifest, ONE_VIEW, CPU)[1]["train"].image_id_N.tolist() == [1, 2, 3]


def test_features_that_are_all_the_same_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match=r"(?s)same features.*4 equal rows.*identity\.zarr.*weights"):
        split_rows(stores_of(tmp_path, np.ones_like(X)), MANIFEST, ONE_VIEW, CPU)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_without_a_readable_image_is_named(split: str, tmp_path: Path) -> None:
    store = make_store(tmp_path / "x.zarr", X, np.array([name != split for name in SPLITS]))
    with pytest.raises(UnchokeError, match=rf"(?s)No image of the {split} split.*x\.zarr"):
        split_rows({"identity": store}, MANIFEST, ONE_VIEW, CPU)


def test_a_class_that_train_lacks_is_named(tmp_path: Path) -> None:
    manifest = make_manifest([*LABELS[:-1], "zebra"], SPLITS)
    with pytest.raises(UnchokeError, match=r"(?s)test split has a class.*zebra"):
        split_rows(stores_of(tmp_path), manifest, ONE_VIEW, CPU)


def test_a_view_that_is_not_given_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match=r"(?s)not given.*views identity\n.*also hflip"):
        split_rows(stores_of(tmp_path), MANIFEST, TWO_VIEWS, CPU)


def test_features_of_other_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match=r"(?s)9 rows of features, 8 images.*identity\.zarr.*snakemake"):
        split_rows(stores_of(tmp_path), MANIFEST.head(8), ONE_VIEW, CPU)


# --- few shots


@given(shots=st.integers(1, 4), draw=st.integers(0, 50), views=st.integers(1, 3))
def test_a_draw_has_its_shots_of_every_class_in_all_views(shots: int, draw: int, views: int) -> None:
    y_N = np.repeat([0, 1, 2], [4, 7, 5])
    x_ND = np.arange(views * len(y_N), dtype=np.float16)[:, None]  # says which row it is
    drawn = draw_shots(rows_of(x_ND, y_N, views), shots, draw, ["a", "b", "c"])
    assert np.bincount(drawn.y_N).tolist() == [shots] * 3
    assert len(set(drawn.image_id_N)) == 3 * shots
    assert drawn.y_N.tolist() == y_N[drawn.image_id_N].tolist()
    expected = np.concatenate([drawn.image_id_N + view * len(y_N) for view in range(views)])
    assert drawn.x_ND[:, 0].tolist() == expected.tolist()
    again = draw_shots(rows_of(x_ND, y_N, views), shots, draw, ["a", "b", "c"])
    assert torch.equal(again.x_ND, drawn.x_ND)


def test_draws_differ_and_reach_every_image() -> None:
    train = rows_of(np.zeros((20, 1), np.float16), np.repeat([0, 1], 10))
    ids = [tuple(draw_shots(train, 2, draw, ["a", "b"]).image_id_N) for draw in range(60)]
    assert len(set(ids)) > 50
    assert set().union(*ids) == set(range(20))


def test_a_class_with_too_few_images_is_named() -> None:
    train = rows_of(np.zeros((5, 1), np.float16), np.array([0, 0, 0, 1, 1]))
    with pytest.raises(UnchokeError, match=r"(?s)fewer training images than shots.*2 of 'rare'.*at least 3.*shots"):
        draw_shots(train, 3, 0, ["often", "rare"])


# --- arithmetic


@pytest.mark.parametrize(
    ("drawn", "share"),
    [
        ([[0, 1, 2, 3]] * 3, "1.00"),  # all of train in every draw
        ([[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 5, 6]], "0.58"),  # pairs share 3, 2 and 2 of 4
        ([[0, 1, 2, 3], [0, 1, 4, 5]], ""),  # half, which may be
        ([[0, 1], [2, 3], [4, 5]], ""),
        ([[0, 1]], ""),  # one draw has no spread
    ],
)
def test_draws_that_mostly_overlap_are_warned_of(drawn: list[list[int]], share: str) -> None:
    found = overlap_warnings([np.array(ids) for ids in drawn])
    assert [share in text and "at most 0.5" in text and "lower shots" in text for text in found] == [True] * bool(share)


@given(seed=st.integers(0, 999), constant=st.floats(-300, 300, width=16))
def test_moments_are_scikit_learns_and_a_constant_has_deviation_1(seed: int, constant: float) -> None:
    x_ND = clouds([20, 11], 4, seed)[0]
    x_ND[:, 2] = constant
    mean_D, scale_D = moments(torch.from_numpy(x_ND), True)
    scaler = StandardScaler().fit(x_ND.astype(np.float64))
    np.testing.assert_allclose(mean_D, scaler.mean_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(scale_D, scaler.scale_, rtol=1e-6)
    assert (float(mean_D[2]), float(scale_D[2])) == (constant, 1)


@pytest.mark.parametrize("count", [5000, 12345, 99999])
def test_a_constant_stays_one_over_many_blocks(count: int) -> None:
    x_ND = torch.full((count, 1), 0.1, dtype=torch.float16)
    assert float(moments(x_ND, True)[1]) == 1


def test_a_feature_that_hardly_varies_counts_as_constant() -> None:
    x_ND = clouds([20, 11], 4, 0)[0].astype(np.float64)
    rms = float(np.sqrt(x_ND.var(0).mean()))
    x_ND[:, 2] = 0
    for value, counts in ((1e-6 * rms, False), (0.1 * rms, True)):
        x_ND[0, 2] = value  # one image alone
        scale = float(moments(torch.from_numpy(x_ND), True)[1][2])
        assert scale == pytest.approx(x_ND[:, 2].std() if counts else 1)


def test_moments_are_0_and_1_where_not_asked_for() -> None:
    mean_D, scale_D = moments(torch.from_numpy(X), False)
    assert mean_D.tolist() == [0] * 3 and scale_D.tolist() == [1] * 3


@given(y=st.lists(st.integers(0, 3), min_size=4, max_size=40).map(lambda more: [0, 1, 2, 3, *more]))
def test_balanced_weights_are_scikit_learns(y: list[int]) -> None:
    expected = compute_class_weight("balanced", classes=np.arange(4), y=np.array(y))
    np.testing.assert_allclose(class_weights(torch.tensor(y), 4, "balanced"), expected, rtol=1e-6)
    assert class_weights(torch.tensor(y), 4, "none").tolist() == [1] * 4


@given(seed=st.integers(0, 999), views=st.integers(1, 4), scale=st.sampled_from([1, 30, 1000]))
def test_averaged_views_are_the_mean_probabilities(seed: int, views: int, scale: float) -> None:
    logits = np.random.default_rng(seed).normal(0, scale, (2, views, 5, 3))
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    expected = (powers / powers.sum(-1, keepdims=True)).mean(1)
    averaged = average_views(torch.from_numpy(logits.reshape(2, views * 5, 3)), views)
    np.testing.assert_allclose(torch.softmax(averaged, -1), expected, rtol=1e-9, atol=1e-12)
    assert averaged.shape == (2, 5, 3)
    if views > 1:
        np.testing.assert_allclose(averaged.exp(), expected, rtol=1e-9, atol=1e-12)


@given(seed=st.integers(0, 999), views=st.integers(1, 2))
def test_scores_are_scikit_learns(seed: int, views: int) -> None:
    rng = np.random.default_rng(seed)
    y_N, logits = rng.integers(0, 3, 12), rng.normal(size=(4, views * 12, 3))
    part = rows_of(np.zeros((views * 12, 1), np.float16), y_N, views)
    probability = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    predicted = probability.reshape(4, views, 12, 3).mean(1).argmax(-1)
    for figure, expected in (("accuracy", accuracy_score), ("balanced_accuracy", balanced_accuracy_score)):
        found = score(torch.from_numpy(logits), part, figure)
        assert found.dtype == torch.float64
        np.testing.assert_allclose(found, [expected(y_N, row) for row in predicted], rtol=1e-10)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_the_score_of_what_diverged_is_unknown_and_no_other_is(wrong: float) -> None:
    logits = np.random.default_rng(0).normal(size=(3, 6, 2))
    logits[1, 4, 0] = wrong
    found = score(torch.from_numpy(logits), rows_of(np.zeros((6, 1), np.float16), np.array([0, 1] * 3)), "accuracy")
    assert torch.isnan(found).tolist() == [False, True, False]


def test_labels_are_compared_as_text(tmp_path: Path) -> None:
    """Classes stand in the order of their names, not of their numbers."""
    manifest: pd.DataFrame = make_manifest([{"a": "10", "b": "9"}[label] for label in LABELS], SPLITS)
    found: Any = split_rows(stores_of(tmp_path), manifest, ONE_VIEW, CPU)
    assert found[0] == ["10", "9"] and found[1]["train"].y_N.tolist() == [0, 1, 0, 1]
