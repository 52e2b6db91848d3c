"""Stage: the rows of all tasks in experiments.db, and the temporary file that replaces the old one."""

import math
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.experiments.comparisons import TOLD_APART, holm
from unchoke.experiments.readings import read_readings
from unchoke.files import disk_error, note_file
from unchoke.hashing import canonical_json
from unchoke.machine.receipts import read_result
from unchoke.metrics.evaluation import Comparison
from unchoke.metrics.grids import grid_edges
from unchoke.pipelines.table import cells_from
from unchoke.store.run_record import RunRecord
from unchoke.store.tables import STEP_COLUMNS


@contextmanager
def new_database(database: Path, schema: str) -> Iterator[sqlite3.Connection]:
    """A connection to a temporary file with the tables of `schema`; the file replaces `database` when all is well.

    Raises UnchokeError, with the old database untouched, when the disk refuses.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    for left in database.parent.glob(f".{database.name}.*.tmp*"):  # by a job that was killed, with SQLite's journal
        left.unlink(missing_ok=True)
    temporary = database.with_name(f".{database.name}.{secrets.token_hex(4)}.tmp")
    try:
        with closing(sqlite3.connect(temporary)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(schema)
            connection.execute(f"PRAGMA user_version = {versions.DATABASE}")
            with connection:
                yield connection
        temporary.replace(database)
        note_file(database)
    except sqlite3.OperationalError as error:
        raise UnchokeError(
            "The database cannot be written.", found=str(error), where=str(database), do="make room and run again"
        ) from error
    except OSError as error:
        raise disk_error(error, database) from error
    finally:
        temporary.unlink(missing_ok=True)


def insert_run(
    connection: sqlite3.Connection,
    run: RunRecord,
    encoder: tuple[dict[str, Any], dict[str, Any]],
    head: tuple[str, dict[str, Any]],
    images: dict[str, int],
    temperatures: list[float] | None = None,
) -> int:
    """The row of a finished run in ``runs``, with its trials and files; return its id.

    encoder: settings and seal of its features. head: what it reads of them, and its settings. images: by split.
    """
    facts = run.facts
    run_id = insert(
        connection,
        "runs",
        encoder_id=_find_encoder(connection, run.encoder, *encoder),
        head_id=_find_head(connection, run.head, *head),
        environment_id=_find_or_insert(connection, "environments", facts=canonical_json(run.run["environment"])),
        task=run.task,
        chosen=canonical_json(facts["chosen"]),
        edges=canonical_json(grid_edges(facts["chosen"], facts["history"])),
        warnings=canonical_json(facts.get("warnings", [])),  # mask heads keep none
        replicates=facts["replicates"],
        temperatures=None if temperatures is None else canonical_json(temperatures),
        seconds=run.run["seconds"],
        **{f"{split}_images": count for split, count in images.items()},
    )
    for trial, (settings, score) in enumerate(run.trials):
        insert(connection, "trials", run_id=run_id, trial=trial, settings=canonical_json(settings), val_score=score)
    for kind, (path, sha256) in run.files.items():
        if path.exists():  # the checkpoint of a head of the past may have been deleted
            insert(connection, "artefacts", run_id=run_id, kind=kind, path=path.as_posix(), sha256=sha256)
    return run_id


def insert_comparisons(
    connection: sqlite3.Connection, best_run_id: int, found: Mapping[int, Comparison | None]
) -> None:
    """Each run against the best, with its p-value adjusted for the number of runs.

    found: by run_id, with that of the best against itself, which does not count; None: no image in common.
    """
    p_values = [math.nan if one is None or run_id == best_run_id else one.p_value for run_id, one in found.items()]
    for (run_id, one), adjusted in zip(found.items(), holm(p_values), strict=True):
        values: dict[str, Any] = asdict(one) if one else {"images": 0}
        p_adjusted = values.get("p_value", math.nan) if run_id == best_run_id else adjusted
        told_apart = None if math.isnan(p_adjusted) else int(p_adjusted < TOLD_APART)
        values |= {"p_adjusted": p_adjusted, "told_apart": told_apart}
        insert(connection, "comparisons", run_id=run_id, best_run_id=best_run_id, **values)


def insert_steps(connection: sqlite3.Connection, run_id: int, run: RunRecord) -> None:
    """The rows of a network in ``steps``; none for a head."""
    names = ", ".join(STEP_COLUMNS)
    query = f"INSERT INTO steps (run_id, replicate, {names}) VALUES ({', '.join('?' * (2 + len(STEP_COLUMNS)))})"
    for replicate, frame in enumerate(run.steps.values()):
        columns = (frame[name].tolist() for name in STEP_COLUMNS)
        rows = ((run_id, replicate, *values) for values in zip(*columns, strict=True))
        connection.executemany(query, rows)


def insert_gains(connection: sqlite3.Connection, found: Mapping[tuple[int, int], Comparison | None]) -> None:
    """Networks against the heads that they began with, by the run_id of both."""
    for (run_id, start_run_id), one in found.items():
        values: dict[str, Any] = asdict(one) if one else {"images": 0}
        insert(connection, "gains", run_id=run_id, start_run_id=start_run_id, **values)


def insert_readings(connection: sqlite3.Connection, results: Path) -> None:
    """The rows of ``test_readings``, from the file beside the results."""
    for reading in read_readings(results):
        insert(connection, "test_readings", **{name: value or None for name, value in asdict(reading).items()})


def insert_pipelines(connection: sqlite3.Connection, results: Path) -> None:
    """The rows of ``pipelines``, from the file beside the results, where there is one.

    A file of another version has what it has: columns that it lacks are NULL.
    """
    if not (table := results / "pipelines.csv").exists():
        return
    try:
        found = cells_from(read_result(table))
    except ValueError as error:
        raise UnchokeError(
            "A table cannot be read.",
            found=str(error),
            where=str(table),
            do="delete it; snakemake compare_pipelines makes it again",
        ) from error
    for row in found:
        insert(connection, "pipelines", **row)


def _find_encoder(connection: sqlite3.Connection, name: str, settings: dict[str, Any], seal: dict[str, Any]) -> int:
    """Id of an encoder, with its row; settings, seal: of its features."""
    return _find_or_insert(
        connection,
        "encoders",
        keys=2,
        name=name,
        settings=canonical_json(settings),
        model=settings["model"],
        trained=int(settings["trained"]),
        weights_sha256=settings["weights_sha256"],
        image_size_px=settings["image_size"],
        images=seal["images"],
        unreadable=len({entry["image_id"] for entry in seal["invalid"]}),
    )


def _find_head(connection: sqlite3.Connection, name: str, pool: str, settings: dict[str, Any]) -> int:
    """Id of a head, with its row. pool: what it reads of an encoder's features."""
    text = canonical_json(settings)  # a head of the past may share its name with one of other settings
    values = {"name": name, "settings": text, "kind": settings["kind"], "pool": pool}
    return _find_or_insert(connection, "heads", keys=2, **values)


def _find_or_insert(connection: sqlite3.Connection, table: str, keys: int = 1, **values: Any) -> int:
    """Id of the row of `table` whose first columns are as given; the row is made where there is none."""
    first = list(values)[:keys]
    condition = " AND ".join(f"{key} = ?" for key in first)
    query = f"SELECT rowid FROM {table} WHERE {condition}"
    found = connection.execute(query, [values[key] for key in first]).fetchone()
    return int(found[0]) if found else insert(connection, table, **values)


def insert(connection: sqlite3.Connection, table: str, **values: Any) -> int:
    """A row of `table`; return its id."""
    columns, places = ", ".join(values), ", ".join("?" * len(values))
    cells = tuple(printable(value) if isinstance(value, str) else value for value in values.values())
    cursor = connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", cells)
    return int(cursor.lastrowid or 0)


def printable(text: str) -> str:
    """Text as SQLite takes it: bytes of a file name that are not UTF-8 are written as ``\\xff``."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
