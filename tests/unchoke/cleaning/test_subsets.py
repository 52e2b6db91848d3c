"""Subsets: the right sizes, one within the other, and stable when images are added."""

import numpy as np
import pandas as pd
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from unchoke.cleaning.subsets import left_out
from unchoke.config.subset import Subset
from unchoke.errors import UnchokeError
from unchoke.names import SPLITS
from unchoke.targets.listing import drawn_part

ROW = st.tuples(st.sampled_from(["cat", "dog"]), st.sampled_from(SPLITS), st.sampled_from(["", "", "", "no label"]))
ROWS = st.lists(ROW, max_size=40)
FRACTION = st.floats(0.01, 1)


def frame_of(rows):
    return pd.DataFrame(
        {
            "image_id": range(len(rows)),
            "path": [f"{place}.png" for place in range(len(rows))],
            **{name: [row[place] for row in rows] for place, name in enumerate(("label", "split", "excluded"))},
        },
    ).astype({"label": object, "split": object, "excluded": object})


def kept_of(frame, dropped=None, **subset):
    """Ids of the images in use that the subset keeps."""
    used = (frame["excluded"] == "").to_numpy(dtype=bool)
    if dropped is not None:
        used = used & (dropped == "")
    out = left_out(frame, dropped, drawn_part(Subset(**subset).model_dump()))
    assert out.dtype == bool
    assert not (out & ~used).any()
    return set(np.flatnonzero(used & ~out).tolist())


def cats(count):
    return frame_of([("cat", "train", "")] * count)


@given(ROWS, FRACTION, st.sets(st.sampled_from(SPLITS), min_size=1), st.integers(0, 3))
def test_every_class_of_every_split_keeps_its_share(rows, fraction, splits, seed):
    frame = frame_of(rows)
    kept = kept_of(frame, fraction=fraction, splits=sorted(splits), seed=seed)
    used = frame[frame["excluded"] == ""]
    for (split, _), members in used.groupby(["split", "label"]):
        share = fraction if split in splits else 1
        assert len(kept & set(members["image_id"])) == max(1, round(share * len(members)))


@given(ROWS, FRACTION, FRACTION, st.integers(0, 3))
def test_a_smaller_share_lies_within_a_larger_one(rows, one, other, seed):
    frame = frame_of(rows)
    small, large = sorted([one, other])
    assert kept_of(frame, fraction=small, seed=seed) <= kept_of(frame, fraction=large, seed=seed)


@given(st.integers(1, 30), st.integers(1, 30))
def test_fewer_of_a_class_lie_within_more(one, other):
    small, large = sorted([one, other])
    assert kept_of(cats(30), per_class=small) <= kept_of(cats(30), per_class=large)


@given(ROWS, ROWS, FRACTION)
def test_images_that_are_added_change_no_order_among_the_others(rows, more, fraction):
    """Of the earlier images of a class, those kept are the first so many of one order, before and after."""
    before = kept_of(frame_of(rows), fraction=fraction)
    after = {place for place in kept_of(frame_of(rows + more), fraction=fraction) if place < len(rows)}
    for label in ("cat", "dog"):
        mine = {place for place, row in enumerate(rows) if row[:2] == (label, "train")}
        assert before & mine <= after & mine or after & mine <= before & mine


@given(st.integers(5, 30), st.integers(0, 30))
def test_an_image_that_is_added_takes_the_place_of_one_other_at_most(count, added):
    before, after = kept_of(cats(count), per_class=5), kept_of(cats(count + added), per_class=5)
    assert {place for place in after if place < count} <= before
    assert len(before - after) == len([place for place in after if place >= count])


def test_the_order_of_the_rows_plays_no_part():
    frame = cats(50)
    turned = frame.iloc[::-1].reset_index(drop=True)
    one, other = (left_out(rows, None, drawn_part(Subset(fraction=0.3).model_dump())) for rows in (frame, turned))
    assert (one == other[::-1]).all()


def test_another_seed_draws_other_images():
    assert kept_of(cats(100), fraction=0.5, seed=0) != kept_of(cats(100), fraction=0.5, seed=1)


def test_those_with_the_smallest_hash_of_their_path_stay():
    order = sorted(range(20), key=lambda place: xxhash.xxh3_64_intdigest(b"%d.png" % place, seed=7))
    assert kept_of(cats(20), per_class=6, seed=7) == set(order[:6])


def test_images_that_cleaning_drops_do_not_count():
    dropped = np.array(["blank"] * 6 + [""] * 4, dtype=object)
    kept = kept_of(cats(10), dropped, fraction=0.5)
    assert len(kept) == 2
    assert min(kept) >= 6


def test_a_class_with_too_few_images_is_an_error():
    frame = frame_of([("cat", "train", "")] * 5 + [("dog", "train", "")] * 3 + [("dog", "val", "")])
    assert len(kept_of(frame, per_class=3)) == 7
    with pytest.raises(UnchokeError, match=r"3 in use(.|\n)*per_class 4(.|\n)*class 'dog' of train(.|\n)*to 3 or less"):
        kept_of(frame, per_class=4)


def test_no_images_leave_none_out():
    assert left_out(frame_of([]), None, drawn_part(Subset(fraction=0.5).model_dump())).shape == (0,)


def test_paths_that_are_not_utf8_can_be_drawn():
    frame = cats(4).assign(path=[b"caf\xe9%d" % place for place in range(4)])
    frame["path"] = [path.decode("utf-8", "surrogateescape") for path in frame["path"]]
    assert len(kept_of(frame, fraction=0.5)) == 2


@pytest.mark.parametrize("subset", [{}, {"fraction": 0.5, "per_class": 5}, {"fraction": 1, "diverse": 5}])
def test_a_subset_has_one_size(subset):
    with pytest.raises(ValidationError, match="give one of fraction, per_class, diverse, typical, uncertain, found"):
        Subset(**subset)


@pytest.mark.parametrize(
    "subset", [{"fraction": 0}, {"fraction": 1.01}, {"per_class": 0}, {"fraction": 1, "splits": []}]
)
def test_sizes_beyond_the_limits_are_refused(subset):
    with pytest.raises(ValidationError):
        Subset(**subset)
