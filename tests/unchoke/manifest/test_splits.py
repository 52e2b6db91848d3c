"""Splits: given ones stay, groups stay whole, classes get their shares."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.manifest.splits import draw_splits
from unchoke.names import SPLITS

labels = st.sampled_from(["cat", "dog", "owl"])
groups = st.sampled_from(["", "g1", "g2", "g3", "g4"])
rows = st.lists(st.tuples(labels, groups), min_size=1, max_size=40)
shares = st.fixed_dictionaries({"val": st.floats(0, 0.3), "test": st.floats(0, 0.3)})
seeds = st.integers(0, 5)


def draw(rows, splits, shares, seed=0):
    return draw_splits([label for label, _ in rows], [group for _, group in rows], splits, shares, seed)


def alone(rows):
    return [(label, "") for label, _ in rows]


@given(rows, shares, seeds, st.data())
def test_rows_that_have_a_split_keep_it(rows, shares, seed, data):
    # One entry a group, and one a row without a group, so that no group is given two splits.
    given_splits = defaultdict(lambda: data.draw(st.sampled_from(["", *SPLITS])))
    before = [given_splits[group or number] for number, (_, group) in enumerate(rows)]
    after = draw(rows, before, shares, seed)
    assert all(new in SPLITS for new in after)
    assert all(old in ("", new) for old, new in zip(before, after, strict=True))


@given(rows, shares, seeds, st.integers(0, 40))
def test_rows_that_are_added_change_no_earlier_one(rows, shares, seed, n_earlier):
    for case in (rows, alone(rows)):
        earlier = case[:n_earlier]
        drawn = draw(earlier, [""] * len(earlier), shares, seed)
        grown = draw(case, drawn + [""] * (len(case) - len(earlier)), shares, seed)
        assert grown[: len(earlier)] == drawn


@given(rows, shares, seeds)
def test_a_group_is_never_torn(rows, shares, seed):
    splits = defaultdict(set)
    for (_, group), split in zip(rows, draw(rows, [""] * len(rows), shares, seed), strict=True):
        splits[group].add(split)
    assert all(len(splits[group]) == 1 for group in splits if group)


def test_the_split_of_one_row_holds_for_its_whole_group():
    rows = [("cat", "g1"), ("dog", "g1"), ("cat", "g2"), ("dog", "g2")]
    assert draw(rows, ["", "test", "", ""], {"val": 0, "test": 0}) == ["test", "test", "train", "train"]


@given(rows, shares, seeds)
def test_every_class_comes_within_one_row_of_its_shares(rows, shares, seed):
    drawn = draw(alone(rows), [""] * len(rows), shares, seed)
    wanted = Counter(label for label, _ in rows)
    found = Counter((label, split) for (label, _), split in zip(rows, drawn, strict=True))
    for label, count in wanted.items():
        for split in ("val", "test"):
            assert abs(found[label, split] - count * shares[split]) <= 1


@given(st.integers(3, 50), st.floats(0.001, 0.3), st.floats(0.001, 0.3), seeds)
def test_a_class_of_three_rows_or_more_is_in_every_split(count, val, test, seed):
    drawn = draw([("cat", "")] * count + [("dog", "")] * 3, [""] * (count + 3), {"val": val, "test": test}, seed)
    assert set(drawn[:count]) == set(drawn[count:]) == set(SPLITS)


@pytest.mark.parametrize(("count", "val", "test"), [(2, 0.3, 0.3), (3, 0.5, 0.3), (4, 0.45, 0.45)])
def test_large_shares_leave_a_small_class_a_row_to_train_on(count, val, test):
    assert "train" in draw([("cat", "")] * count, [""] * count, {"val": val, "test": test})


@given(rows, shares, seeds)
def test_a_split_without_a_share_gets_no_row(rows, shares, seed):
    for case in (rows, alone(rows)):
        assert "test" not in draw(case, [""] * len(case), {**shares, "test": 0.0}, seed)


@given(rows, shares, seeds)
def test_the_same_seed_draws_the_same_splits(rows, shares, seed):
    for case in (rows, alone(rows)):
        assert draw(case, [""] * len(case), shares, seed) == draw(case, [""] * len(case), shares, seed)


@pytest.mark.parametrize("group_size", [1, 4])
def test_another_seed_draws_other_splits(group_size):
    rows = [("cat", f"g{number // group_size}" if group_size > 1 else "") for number in range(200)]
    shares = {"val": 0.2, "test": 0.2}
    assert draw(rows, [""] * 200, shares, seed=0) != draw(rows, [""] * 200, shares, seed=1)


def test_more_classes_leave_the_draw_of_a_class_as_it_is():
    cats, owls = [("cat", "")] * 50, [("owl", "")] * 30
    shares = {"val": 0.2, "test": 0.2}
    assert draw(cats, [""] * 50, shares) == draw(owls + cats, [""] * 80, shares)[30:]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_whole_groups_come_near_the_shares_of_every_class(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, 300)
    rows = [(rng.choice(["cat", "dog", "owl"]), f"g{group}") for group, size in enumerate(sizes) for _ in range(size)]
    drawn = np.array(draw(rows, [""] * len(rows), {"val": 0.2, "test": 0.1}, seed))
    label = np.array([label for label, _ in rows])
    for name in np.unique(label):
        found = [np.mean(drawn[label == name] == split) for split in SPLITS]
        np.testing.assert_allclose(found, [0.7, 0.2, 0.1], atol=0.02)


def grouped(sizes, classes):
    """Rows of a group a size, its label by `classes`; and the first row of each group."""
    labels = [classes[group % len(classes)] for group in range(len(sizes))]
    rows = [
        (label, f"g{group}") for group, (label, size) in enumerate(zip(labels, sizes, strict=True)) for _ in range(size)
    ]
    return rows, np.cumsum(sizes) - sizes


def draw_groups(sizes, seed, shares, classes=("cat",)):
    """The split of each group."""
    rows, first = grouped(sizes, classes)
    return np.array(draw(rows, [""] * len(rows), shares, seed))[first]


@given(
    st.lists(st.integers(1, 30), min_size=3, max_size=40).map(np.array),
    st.sampled_from([("cat",), ("cat", "dog"), ("cat", "cat", "dog", "owl")]),
    st.sampled_from([0.1, 0.15, 0.3]),
    seeds,
)
def test_shares_of_whole_groups_are_kept_within_one_median_group(sizes, classes, share, seed):
    shares = {"val": share, "test": share}
    drawn = draw_groups(sizes, seed, shares, classes)
    assert set(drawn) == set(SPLITS) or len(sizes) < 3 + len(set(classes)) - 1
    if sizes.max() <= share * sizes.sum() and len(sizes) >= 10 * len(set(classes)):
        rows = np.array([sizes[drawn == split].sum() for split in SPLITS])
        wanted = sizes.sum() * np.array([1 - 2 * share, share, share])
        assert np.abs(rows - wanted).max() <= np.median(sizes)


@given(st.lists(st.sets(st.sampled_from("abcd"), min_size=1), min_size=1, max_size=8), seeds)
def test_train_has_every_class(classes_of_groups, seed):
    rows = [(label, f"g{group}") for group, classes in enumerate(classes_of_groups) for label in sorted(classes)]
    drawn = draw(rows, [""] * len(rows), {"val": 0.4, "test": 0.4}, seed)
    assert {label for (label, _), split in zip(rows, drawn, strict=True) if split == "train"} == {
        row[0] for row in rows
    }


def test_every_seed_draws_other_groups_and_sizes_are_alike_in_all_splits():
    """100 groups of 1 to 100 rows, whose mean is 50.5."""
    sizes = np.arange(1, 101)
    drawn = [draw_groups(sizes, seed, {"val": 0.15, "test": 0.15}, ("cat", "dog")) for seed in range(30)]
    assert len({tuple(splits == "test") for splits in drawn}) == 30
    means = np.array([[sizes[splits == split].mean() for split in SPLITS] for splits in drawn]).mean(0)
    np.testing.assert_allclose(means, 50.5, atol=6)
    assert any("test" in splits[-10:] for splits in drawn)
    assert any("test" in splits[:10] for splits in drawn)


def test_a_group_that_fits_nowhere_but_in_train_goes_there():
    for seed in range(20):
        assert draw_groups(np.array([1, 100, 1]), seed, {"val": 0.15, "test": 0.15}).tolist()[1] == "train"


def test_no_rows_draw_no_splits():
    assert draw([], [], {"val": 0.2, "test": 0.2}) == []


def test_labels_that_are_not_utf8_can_be_drawn():
    label = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert set(draw([(label, "")] * 10, [""] * 10, {"val": 0.2, "test": 0.2})) == set(SPLITS)
