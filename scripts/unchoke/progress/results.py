"""What a run has left on disk, as far as its last lines tell of it. Every answer bears files that are not there."""

import contextlib
import csv
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unchoke.errors import UnchokeError
from unchoke.experiments.board import floors, leaderboard
from unchoke.names import NO_LABEL
from unchoke.progress.closing import Images, Outcome
from unchoke.progress.state import Sizes
from unchoke.targets.listing import listing_of
from unchoke.targets.missing import with_gaps
from unchoke.targets.stores import fingerprints_per_job, has_masks, stores_in_use

_TAIL_BYTES = 4096
_VANISHED = "vanished"


def outcome_of(config: dict[str, Any], results: Path) -> Outcome:
    """The figures of a finished run. config: as ``load_config`` returns it. results: the folder of the dataset."""
    database = results / "experiments.db"
    rows, metric, chance = _board(database)
    files = [results / "quarantine.csv", report_of(results), database]
    files += [results / "to_label.csv"] if listing_of(config) else []  # else it is of an earlier config
    return Outcome(
        config["dataset"]["name"],
        rows,
        metric,
        chance,
        _images(results),
        *(str(file) if file.exists() else "" for file in files),
    )


def report_of(results: Path) -> Path:
    """The page to open."""
    return results / "report.html"


def sizes_of(config: dict[str, Any], results: Path) -> Sizes:
    """How many images, or patches, each job takes; without their number in all while there is no manifest."""
    record = _json(results / "manifest.json")
    per_shard = config["chunks_per_shard"]
    if has_masks(config):
        chunk = config["patches"]["per_chunk"]
        single = dict.fromkeys(("cut_masks", "draw_text_maps", "predict_patches", "predict_teacher"), chunk)
        sharded = dict.fromkeys(("extract_patches", "extract_pixels", "run_teacher"), chunk * per_shard)
        return Sizes("patches", record.get("patches", 0), single | sharded)
    chunk = config["chunk_size"]
    per_job = dict.fromkeys(("extract_chunk", "extract_pixels"), chunk * per_shard)
    if config["cleaning"]:
        per_job["fingerprint_chunk"] = chunk * fingerprints_per_job(config)
    return Sizes("images", record.get("images", 0), per_job)


def chunks_done(config: dict[str, Any], results: Path) -> tuple[int, int]:
    """How many files of chunks are there, and how many there will be, over all stores; 0 and 0 without a manifest."""
    chunks = _json(results / "manifest.json").get("chunks", 0)
    done = due = 0
    for name, store in stores_in_use(config).items():
        numbers = store.numbers(chunks)
        due += len(numbers)
        done += len(numbers) - len(with_gaps(numbers, results / f"{name}.zarr/valid/c"))
    return done, due


def record_of(output: str, chunk: str) -> Path | None:
    """The record of a chunk beside its store; None for an output that lies in none."""
    stem, inside, _ = output.partition(".zarr/")
    return Path(f"{stem}.chunks/{chunk}.json") if inside and chunk else None


def unreadable(record: Path) -> Iterator[int]:
    """Ids of the images that the chunk of this record could not read."""
    for entry in _json(record).get("invalid", ()):
        if isinstance(entry, dict) and entry.get("reason") != _VANISHED:
            yield entry["image_id"]


def last_line(log: Path) -> str:
    """The last line of a log that has text; of a line that was drawn anew, what it showed last."""
    return next((line for line in reversed(tail(log).splitlines()) if line.strip()), "").rsplit("\r", 1)[-1].strip()


def tail(log: Path, size: int = _TAIL_BYTES) -> str:
    """The end of a text file; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return text.replace("\x1b[K", "")


def _board(database: Path) -> tuple[list[dict[str, Any]], str, Any]:
    """Rows of the leaderboard, the metric that ranks them, and the level of chance; empty where it cannot be read."""
    if not database.exists():
        return [], "", None
    with contextlib.suppress(UnchokeError, sqlite3.Error):
        rows = list(leaderboard(database))
        return rows, _spoken(rows[0]["metric"]) if rows else "", floors(database)
    return [], "", None


def _spoken(metric: str) -> str:
    return "H-mean" if metric == "h_mean" else metric.replace("_", " ")


def _images(results: Path) -> Images | None:
    record = _json(results / "manifest.json")
    if not record:
        return None
    present = record["images"] - record["excluded"].get(_VANISHED, 0)
    quarantine = [row for row in _rows(results / "quarantine.csv") if row["reason"] != _VANISHED]
    listed = {row["image_id"] for row in quarantine}
    left_out = {row["image_id"] for row in _rows(results / "selection.csv") if row["left_out"]} - listed
    waiting = record["excluded"].get(NO_LABEL, 0)  # those of them that cannot be read are quarantined
    unlabelled = waiting - sum(not row["label"] for row in quarantine) if waiting else 0
    return Images(present, len(left_out), len(quarantine), unlabelled)


def _rows(table: Path) -> Iterator[dict[str, str]]:
    with contextlib.suppress(OSError), table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        yield from csv.DictReader(file)


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
