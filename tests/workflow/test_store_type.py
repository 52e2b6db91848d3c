"""A finished run whose encoder is asked for float32: its chunks are made anew, and float16 left nothing to do."""

import numpy as np
import pytest
from conftest import CONFIG, Clone

from unchoke.store.read import open_complete

pytestmark = pytest.mark.xdist_group("run")


def test_float32_makes_the_features_anew_and_heads_from_them(rerun: Clone) -> None:
    path = rerun.results / "features/tiny.zarr"
    before_ND = open_complete(path).features("avg")
    tiny = CONFIG["encoders"]["tiny"]
    rerun.configure(encoders={"tiny": {**tiny, "store": "float16"}})
    assert "Nothing to be done" in rerun.snakemake("--cores", "2")
    rerun.configure(encoders={"tiny": {**tiny, "store": "float32"}, "half": tiny})  # each has a type of its own
    rerun.snakemake("--cores", "2")
    store = open_complete(path)
    assert store.features("avg").dtype == np.float32 and store.seal["settings"]["store"] == "float32"
    assert open_complete(path.with_name("half.zarr")).features("avg").dtype == np.float16
    np.testing.assert_array_equal(store.features("avg").astype(np.float16), before_ND)
    checkpoint = rerun.results / "checkpoints/tiny/logistic.safetensors"
    assert checkpoint.stat().st_mtime > (path / "zarr.json").stat().st_mtime
