"""The table of rates: seconds by stage summed over chunks, and the stage that took longest."""

from pathlib import Path

from small_results import fake_seal

from unchoke.features.timings import summarise_rates
from unchoke.files import write_atomic
from unchoke.signed import signed_bytes
from unchoke.store import chunks


def add_chunk(store: Path, chunk: int, images: int, host_mb: float, **seconds: float) -> None:
    record = {"images": images, "threads": 4, "seconds": seconds, "peak_mb": {"host": host_mb}}
    write_atomic(chunks.record_file(store, chunk), signed_bytes(record))


def test_threads_share_reading_and_decoding_and_the_slowest_stage_is_named(tmp_path: Path) -> None:
    store = tmp_path / "tiny.zarr"
    write_atomic(chunks.seal_file(store), fake_seal(rows_sha256=["a", "b"]))
    add_chunk(store, 0, 64, 900.5, read=0.4, decode=8.0, encode=1.0, write=0.1)
    add_chunk(store, 1, 36, 800.0, read=0.4, decode=8.0, encode=1.0, write=0.1)
    rows = {row[1]: row for row in summarise_rates([store], tmp_path / "rates.csv")}
    assert rows["decode"][2:6] == (4.0, 25.0, round(4.0 / 6.4, 3), True)
    assert rows["read"][2:4] == (0.2, 500.0)
    assert [stage for stage, row in rows.items() if row[5]] == ["decode"]
    assert {row[6:] for row in rows.values()} == {(900, 0)}
    assert (tmp_path / "rates.csv").read_text().count("\n") == 5


def test_a_stage_that_took_no_time_has_no_row(tmp_path: Path) -> None:
    """Patches are read and decoded in one, which counts as decoding."""
    store = tmp_path / "tiny.zarr"
    write_atomic(chunks.seal_file(store), fake_seal(rows_sha256=["a"]))
    add_chunk(store, 0, 16, 900.0, read=0.0, decode=8.0, encode=1.0, write=0.5)
    assert [row[1] for row in summarise_rates([store], tmp_path / "rates.csv")] == ["decode", "encode", "write"]
