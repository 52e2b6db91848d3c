"""How two stores differ: what was planted is found, and figures are those of NumPy in float64."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_stores import HERE, N, X, changed, write

import compare_features
import seal_store
import unchoke
import verify_results
from unchoke.errors import UnchokeError
from unchoke.files import write_atomic
from unchoke.signed import signed_bytes
from unchoke.store import chunks
from unchoke.store.compare import row_differences
from unchoke.store.origin import group_makers, origin_file, read_origin
from unchoke.store.read import read_seal

HASHES = np.random.default_rng(1).integers(0, 2**64, (N, 3), np.uint64)


def test_equal_stores_are_equal_whoever_made_them(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.zarr", made_by=HERE), write(tmp_path / "b.zarr", made_by={**HERE, "host": "right"})
    assert chunks.seal_file(a).read_bytes() == chunks.seal_file(b).read_bytes()
    found = unchoke.compare(a, b)
    assert found.identical and found.equal and found.within_tolerance
    assert found.makers == {"host": ("left", "right")}
    assert "every file has the same digest" in str(found) and "made by host: left in a, right in b" in str(found)


def test_figures_are_those_of_numpy(tmp_path: Path) -> None:
    x_ND = changed(r5_1=9.0, r6_0=-3.0, r20_2=0.25)
    found = unchoke.compare(write(tmp_path / "a.zarr"), write(tmp_path / "b.zarr", x_ND), tolerance=0.5)
    a_ND, b_ND = X.astype(np.float64), x_ND.astype(np.float64)
    absolute = np.abs(a_ND - b_ND).max()
    relative = max(
        np.linalg.norm(a_ND[row] - b_ND[row]) / max(np.linalg.norm(a_ND[row]), np.linalg.norm(b_ND[row]))
        for row in range(N)
    )
    avg = found.arrays["avg"]
    assert (avg.rows, avg.chunks) == (3, (1, 5))
    assert avg.absolute == pytest.approx(absolute, rel=1e-12) and avg.relative == pytest.approx(relative, rel=1e-12)
    assert not found.equal and found.within_tolerance == (relative <= 0.5)
    for tolerance in (relative * (1 - 1e-9), relative * (1 + 1e-9)):
        again = unchoke.compare(tmp_path / "a.zarr", tmp_path / "b.zarr", tolerance=tolerance)
        assert again.within_tolerance == (tolerance > relative)
    assert "avg: 3 rows differ" in str(found) and "chunks 1, 5" in str(found)


def test_other_cuts_of_the_same_rows_are_equal_but_not_identical(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.zarr"), write(tmp_path / "b.zarr", size=8, per_shard=2)
    c = write(tmp_path / "c.zarr", changed(r13_0=5), size=8, per_shard=2)
    for first, second in ((a, b), (b, a)):
        found = unchoke.compare(first, second)
        assert found.equal and not found.identical and found.other_rows is None
        assert found.settings == ({"chunk_size": ("4", "8")} if first == a else {"chunk_size": ("8", "4")})
    assert unchoke.compare(a, c).arrays["avg"].chunks == (3,)
    assert unchoke.compare(b, c).arrays["avg"].chunks == (1,)  # of shards


def test_rows_that_one_could_not_read_count_as_validity_alone(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a.zarr"), write(tmp_path / "b.zarr", invalid=[2, 7])
    found = unchoke.compare(a, b, tolerance=1e9)
    assert (found.arrays["valid"].rows, found.arrays["avg"].rows) == (2, 0)
    assert not found.within_tolerance


def test_more_rows_other_rows_and_settings_are_named(tmp_path: Path) -> None:
    a = write(tmp_path / "a.zarr", X[:10])
    b = write(tmp_path / "b.zarr", rows_sha256=["0", "x", "2", "3", "4", "5"], settings={"weights_sha256": "bad"})
    found = unchoke.compare(a, b, tolerance=1)
    assert found.rows == (10, N) and found.other_rows == (1,)
    assert found.arrays["avg"].rows == 0 and not found.equal and not found.within_tolerance
    assert found.settings == {"weights_sha256": ("f00", "bad")}
    assert "only the first 10 are compared" in str(found) and "differ in chunk 1" in str(found)


def test_arrays_without_a_counterpart_are_named(tmp_path: Path) -> None:
    a = write(tmp_path / "a.zarr", X[:, :2], arrays={"max": X})
    found = unchoke.compare(a, write(tmp_path / "b.zarr"))
    assert found.unmatched == {"max": "only in a", "avg": "rows of shape (2,) in a, (3,) in b"}
    assert set(found.arrays) == {"valid"} and not found.within_tolerance


def test_whole_numbers_must_be_equal_to_the_last_bit(tmp_path: Path) -> None:
    other = HASHES.copy()
    other[9, 2] ^= np.uint64(1)
    stores_of = [
        write(tmp_path / f"{name}.zarr", arrays={"hashes": values}) for name, values in (("a", HASHES), ("b", other))
    ]
    found = unchoke.compare(*stores_of, tolerance=1)
    assert (found.arrays["hashes"].rows, found.arrays["hashes"].chunks) == (1, (2,))
    assert not found.within_tolerance


@given(
    arrays(np.float32, (4, 3), elements=st.floats(-1e3, 1e3, width=32)), st.integers(0, 3), st.floats(-5, 5, width=32)
)
def test_the_difference_of_rows_is_symmetric_and_bounded(x: np.ndarray, row: int, step: float) -> None:
    y = x.copy()
    y[row] += np.float32(step)
    absolute, relative = row_differences(x, y)
    assert (absolute, relative) == row_differences(y, x)
    assert absolute == np.abs(x.astype(float) - y.astype(float)).max()
    assert 0 <= relative <= 2 and (relative == 0) == (absolute == 0)


@pytest.mark.parametrize(("x", "y", "expected"), [(np.nan, np.nan, 0), (np.nan, 1, np.inf), (np.inf, -np.inf, np.inf)])
def test_values_that_are_not_finite(x: float, y: float, expected: float) -> None:
    assert row_differences(np.array([[x, 1]]), np.array([[y, 1]])) == (expected, expected)


def test_the_command_ends_with_one_where_the_difference_is_too_large(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(write(tmp_path / "a.zarr")), str(write(tmp_path / "b.zarr", changed(r5_1=9.0)))]
    compare_features.main(["--stores", *paths, "--tolerance", "2"])
    with pytest.raises(SystemExit) as end:
        compare_features.main(["--stores", *paths, "--tolerance", "1e-3"])
    assert end.value.code == 1
    assert capsys.readouterr().out.count("avg: 1 rows differ") == 2


def test_the_origin_names_every_maker_and_its_chunks(tmp_path: Path) -> None:
    there = {**HERE, "host": "right"}
    groups = group_makers([HERE, there, HERE, {}])
    assert [(group["chunks"], group["first_chunk"], group["by"].get("host")) for group in groups] == [
        (2, 0, "left"),
        (1, 1, "right"),
        (1, 3, None),
    ]
    path = write(tmp_path / "a.zarr", made_by=HERE)
    origin = read_origin(path)
    assert origin["made"] == [{"chunks": 6, "first_chunk": 0, "by": HERE}]
    assert origin["settings"]["weights_sha256"] == "f00" and origin["sealed"]["commit"]


def test_the_origin_of_an_earlier_seal_is_not_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.zarr", made_by=HERE)
    arguments = ["--results", str(tmp_path), "--stores", str(path)]
    verify_results.main(arguments)
    assert "6 chunks from 0: host left, device cpu: x, commit abc" in capsys.readouterr().out
    write_atomic(chunks.seal_file(path), signed_bytes({**read_seal(path), "more": 1}))
    assert read_origin(path) == {}
    with pytest.raises(UnchokeError, match=r"a\.origin\.json: that of another seal"):
        verify_results.main(arguments)


def test_the_command_that_seals_writes_the_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.zarr", made_by=HERE)
    origin_file(path).unlink()
    seal = json.loads(chunks.seal_file(path).read_bytes())
    monkeypatch.setattr(seal_store, "seal_store", lambda *paths: seal)  # which its own tests hold
    seal_store.main(["--store", str(path), "--manifest", "m", "--rows", "r"])
    assert read_origin(path)["made"][0]["by"] == HERE
