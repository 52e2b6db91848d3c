"""Which images the files of a listing are: by path, size and time, else by their bytes; no image gets two files."""

from collections import Counter

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from unchoke.manifest.moves import FORGOTTEN, VANISHED, Known, Placing, match_bytes, place_files
from unchoke.store.tables import MANIFEST_COLUMNS

# A file by its path: its bytes, as a number, and how often it was touched. Two contents share each size.
FILES = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=1)
LABELS = {path: "cat" if path < "d" else "dog" for path in "abcdef"}


def listed(files: dict[str, tuple[int, int]]) -> pd.DataFrame:
    """With a time that no other bytes have."""
    columns = ["path", "label", "split", "group", "size_bytes", "mtime_ns"]
    states = {path: (1 + content % 3, 10 * content + time) for path, (content, time) in sorted(files.items())}
    return pd.DataFrame([(path, LABELS[path], "", "", *state) for path, state in states.items()], columns=columns)


def contents(frame: pd.DataFrame) -> list[int]:
    return (frame["mtime_ns"] // 10).tolist()


def manifest_of(files: dict[str, tuple[int, int]], **excluded: str) -> pd.DataFrame:
    frame = listed(files)
    marks = [excluded.get(path, "") for path in frame["path"]]
    return frame.assign(image_id=range(len(frame)), excluded=marks)[list(MANIFEST_COLUMNS)]


def place(old: pd.DataFrame, found: pd.DataFrame, unknown: tuple[int, ...] = ()) -> Placing:
    """With the contents as digests, all of which are known but those of the images `unknown`."""

    of_images, of_files = contents(old), contents(found)
    return place_files(
        old,
        found,
        lambda ids: {number: str(of_images[number]) for number in ids if number not in unknown},
        lambda places: {number: str(of_files[number]) for number in places},
    )


def ids_by_path(old: pd.DataFrame, found: pd.DataFrame, **how) -> dict[str, int]:
    return dict(zip(found["path"], place(old, found, **how).image_id_N.tolist(), strict=True))


@given(FILES, FILES)
def test_every_file_is_one_image_and_bytes_that_stay_keep_an_id(before, after):
    old, found = manifest_of(before), listed(after)
    placing = place(old, found)
    ids = placing.image_id_N.tolist()
    assert len(set(ids)) == len(ids)
    assert [number for number in ids if number >= len(old)] == list(range(len(old), max([*ids, len(old) - 1]) + 1))
    kept = [(number, now) for number, now in zip(ids, contents(found), strict=True) if number in placing.same]
    assert [now for _, now in kept] == [contents(old)[number] for number, _ in kept]
    assert Counter(now for _, now in kept) == Counter(contents(old)) & Counter(contents(found))


@given(FILES, st.permutations("abcdef"), st.data())
def test_renaming_swapping_and_touching_change_no_id(before, names, data):
    """All contents differ here, so that each file is one image alone."""
    before = {path: (number, 0) for number, path in enumerate(sorted(before))}
    new_name = dict(zip("abcdef", names, strict=True))
    touched = data.draw(st.sets(st.sampled_from(sorted(before))))
    after = {new_name[path]: (content, int(path in touched)) for path, (content, _) in before.items()}
    expected = {new_name[path]: number for number, path in enumerate(sorted(before))}
    assert ids_by_path(manifest_of(before), listed(after)) == expected


def test_of_equal_bytes_the_same_path_comes_first_then_the_same_label_then_the_order():
    images = [Known(number, path, LABELS[path], "x") for number, path in enumerate("adbe")]
    files = [Known(number, path, LABELS[path], "x") for number, path in enumerate("fdc")]
    assert match_bytes(images, files) == {1: 1, 2: 0, 0: 3}  # d stays; c is the first cat; f the first dog left
    assert match_bytes(images[:1], files) == {2: 0}  # moved and copied: one file has the id, the others are new
    assert match_bytes(images, [Known(0, "a", "cat", "y")]) == {}


def test_a_file_moved_over_another_is_the_one_that_moved():
    old = manifest_of({"a": (0, 0), "b": (3, 0)})  # of one size
    assert ids_by_path(old, listed({"a": (3, 0)})) == {"a": 1}


def test_an_edited_file_keeps_the_id_of_its_path():
    old = manifest_of({"a": (0, 0), "b": (1, 0)})
    assert ids_by_path(old, listed({"a": (3, 0), "b": (1, 0)})) == {"a": 0, "b": 1}


def test_what_vanished_long_ago_comes_back_under_any_name_unless_it_was_forgotten():
    for mark, expected in ((VANISHED, 0), (FORGOTTEN, 2)):
        old = manifest_of({"a": (0, 0), "b": (1, 0)}, a=mark)
        for path in "ac":
            assert ids_by_path(old, listed({path: (0, 0), "b": (1, 0)})) == {path: expected, "b": 1}


def test_without_a_digest_nothing_is_guessed_and_it_is_said():
    old, found = manifest_of({"a": (0, 0), "b": (1, 0)}), listed({"c": (0, 0), "b": (1, 0)})
    placing = place(old, found, unknown=(0,))
    assert (placing.image_id_N.tolist(), placing.unproven, placing.moved) == ([1, 2], 1, frozenset())
    assert place(old, found).unproven == 0


def test_bytes_are_read_only_where_a_file_may_be_an_image_that_is_not_at_its_place():
    old, found = manifest_of({"a": (0, 0), "b": (1, 0), "d": (2, 0)}), listed({"b": (1, 0), "c": (3, 0), "e": (4, 0)})
    read = []
    place_files(old, found, lambda ids: dict.fromkeys(ids, "x"), lambda places: read.extend(places) or {})
    assert found["path"].iloc[read].tolist() == ["c"]  # as large as a, which is gone; e is as large as none that is
