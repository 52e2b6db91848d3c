"""Stage: seconds and rates of each stage, summed over the chunks of every encoder and of the fingerprints."""

from pathlib import Path
from typing import Any

from unchoke.files import write_atomic
from unchoke.store import chunks as stores
from unchoke.store.read import read_seal
from unchoke.store.tables import table_bytes

COLUMNS = ("encoder", "stage", "seconds", "images_per_s", "share", "bottleneck", "peak_host_mb", "peak_card_mb")
STAGES = ("read", "decode", "encode", "write")


def summarise_rates(paths: list[Path], table: Path) -> list[tuple[Any, ...]]:
    """Write and return one row for each store and stage: its seconds by the clock, its rate, its share.

    Seconds of parallel jobs, such as fingerprints, are added up. Seconds of reading and decoding are divided by the
    number of threads. The bottleneck is the stage that took longest. Peaks are the largest of all chunks, MB.
    """
    rows = [row for path in paths for row in _store_rows(path)]
    write_atomic(table, table_bytes(COLUMNS, rows))
    return rows


def _store_rows(store: Path) -> list[tuple[Any, ...]]:
    chunks = len(read_seal(store)["rows_sha256"])
    records = [stores.read_record(store, chunk) for chunk in range(chunks)]
    images = sum(record["images"] for record in records)
    seconds = {stage: sum(_clock_s(record, stage) for record in records) for stage in STAGES}
    total, slowest = sum(seconds.values()), max(seconds, key=lambda stage: seconds[stage])
    host = max(record["peak_mb"]["host"] for record in records)
    card = max(record["peak_mb"].get("card", 0.0) for record in records)
    return [
        (
            store.stem,
            stage,
            round(s, 3),
            round(images / s, 1),
            round(s / total, 3),
            stage == slowest,
            int(host),
            int(card),
        )
        for stage, s in seconds.items()
        if s  # patches are read and decoded in one step
    ]


def _clock_s(record: dict[str, Any], stage: str) -> float:
    seconds = float(record["seconds"][stage])
    return seconds / record["threads"] if stage in ("read", "decode") else seconds
