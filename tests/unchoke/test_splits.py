"""Splits: given ones stay, groups stay whole, classes get their shares."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.names import SPLITS
from unchoke.splits import draw_splits

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


def test_no_rows_draw_no_splits():
    assert draw([], [], {"val": 0.2, "test": 0.2}) == []


def test_labels_that_are_not_utf8_can_be_drawn():
    label = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert set(draw([(label, "")] * 10, [""] * 10, {"val": 0.2, "test": 0.2})) == set(SPLITS)
