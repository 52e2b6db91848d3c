"""Chunks of a store that is not sealed yet, and stores of the views of one encoder, opened together."""

from pathlib import Path

import numpy as np
import pytest
from small_features import make_store

from unchoke.errors import UnchokeError
from unchoke.store.chunks import chunk_file, read_chunk, record_file, write_chunk
from unchoke.store.read import open_views

X = np.arange(12, dtype=np.float16).reshape(6, 2)


def test_views_are_opened_by_their_names(tmp_path: Path) -> None:
    for place, view in enumerate(("identity", "hflip", "crop_3")):
        make_store(tmp_path / f"tiny@{place}.zarr", X + place, view=view)
    opened = open_views([tmp_path / f"tiny@{place}.zarr" for place in range(3)])
    assert list(opened) == ["identity", "hflip", "crop_3"]
    np.testing.assert_array_equal(opened["crop_3"].features("avg"), X + 2)


@pytest.mark.parametrize("other", [{"model": "another"}, {"trained": False}, {"image_size": 9}])
def test_views_of_different_encoders_are_refused(other: dict[str, object], tmp_path: Path) -> None:
    make_store(tmp_path / "one.zarr", X)
    make_store(tmp_path / "two.zarr", X, view="hflip", **other)
    with pytest.raises(UnchokeError, match=r"(?s)different encoders.*two\.zarr.*settings of .*one\.zarr.*one encoder"):
        open_views([tmp_path / "one.zarr", tmp_path / "two.zarr"])


def test_a_view_that_is_not_sealed_is_refused(tmp_path: Path) -> None:
    make_store(tmp_path / "one.zarr", X)
    with pytest.raises(UnchokeError, match=r"(?s)not sealed.*two\.zarr"):
        open_views([tmp_path / "one.zarr", tmp_path / "two.zarr"])


ARRAYS = {
    "s4": np.random.default_rng(0).normal(size=(3, 2, 4, 4)).astype(np.float16),
    "mask": np.random.default_rng(1).integers(0, 256, (3, 5, 6), np.uint8),
    "avg": np.random.default_rng(2).normal(size=(3, 7)).astype(np.float16),
    "valid": np.array([True, False, True]),
}


def test_a_chunk_that_is_not_sealed_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_chunk(tmp_path / "tiny.zarr", 4, ARRAYS, {})
    found = read_chunk(tmp_path / "tiny.zarr", 4)
    assert set(found) == set(ARRAYS)
    for name, values in ARRAYS.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("how", ["missing", "changed"])
def test_an_array_of_a_chunk_that_is_missing_or_changed_is_named(tmp_path: Path, name: str, how: str) -> None:
    store = tmp_path / "tiny.zarr"
    write_chunk(store, 4, ARRAYS, {})
    file = chunk_file(store, name, 4, ARRAYS[name].ndim)
    file.unlink() if how == "missing" else file.write_bytes(b"x" + file.read_bytes()[1:])
    said = "no file" if how == "missing" else "sha256 .*as it was written"
    with pytest.raises(UnchokeError, match=rf"(?s)Chunk 4 of tiny is missing or changed.*{said}.*{name}/c/4.*forcerun"):
        read_chunk(store, 4)


def test_a_chunk_without_a_record_is_named(tmp_path: Path) -> None:
    write_chunk(tmp_path / "tiny.zarr", 4, ARRAYS, {})
    record_file(tmp_path / "tiny.zarr", 4).unlink()
    with pytest.raises(UnchokeError, match=r"(?s)Chunk 4 of tiny.*no record of the chunk.*4\.json"):
        read_chunk(tmp_path / "tiny.zarr", 4)
