"""Stores of the views of one encoder, opened together."""

from pathlib import Path

import numpy as np
import pytest
from small_features import make_store

from unchoke.errors import UnchokeError
from unchoke.stores import open_views

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
