"""Stage: experiments.db, derived from the groups of all heads and rebuilt whenever one of them changes."""

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import zarr

from unchoke import stores
from unchoke.errors import UnchokeError
from unchoke.files import disk_error, read_json
from unchoke.hashing import canonical_json, sha256_bytes

SCHEMA = """
CREATE TABLE environments (
  environment_id INTEGER PRIMARY KEY,
  facts TEXT NOT NULL UNIQUE  -- JSON: releases, platform, processors, device, commit
);
CREATE TABLE encoders (
  encoder_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  model TEXT NOT NULL,
  trained INTEGER NOT NULL CHECK (trained IN (0, 1)),
  weights_sha256 TEXT NOT NULL,
  image_size_px INTEGER NOT NULL,
  images INTEGER NOT NULL,
  unreadable INTEGER NOT NULL,
  settings TEXT NOT NULL  -- JSON
);
CREATE TABLE heads (
  head_id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  pool TEXT NOT NULL,
  settings TEXT NOT NULL  -- JSON
);
CREATE TABLE runs (
  run_id INTEGER PRIMARY KEY,
  encoder_id INTEGER NOT NULL REFERENCES encoders,
  head_id INTEGER NOT NULL REFERENCES heads,
  environment_id INTEGER NOT NULL REFERENCES environments,
  chosen TEXT NOT NULL,  -- JSON: the setting that was best on val
  train_images INTEGER NOT NULL,
  val_images INTEGER NOT NULL,
  test_images INTEGER NOT NULL,
  seconds REAL NOT NULL,
  UNIQUE (encoder_id, head_id)
);
CREATE TABLE metrics (
  run_id INTEGER NOT NULL REFERENCES runs,
  split TEXT NOT NULL CHECK (split IN ('val', 'test')),
  name TEXT NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (run_id, split, name)
);
CREATE TABLE artefacts (
  artefact_id INTEGER PRIMARY KEY,
  run_id INTEGER NOT NULL REFERENCES runs,
  kind TEXT NOT NULL,
  path TEXT NOT NULL UNIQUE,
  sha256 TEXT NOT NULL
);
CREATE VIEW leaderboard AS
SELECT
  encoders.name AS encoder,
  heads.name AS head,
  heads.kind AS kind,
  heads.pool AS pool,
  CASE encoders.trained WHEN 1 THEN 'trained' ELSE 'untrained' END AS weights,
  runs.chosen AS chosen,
  val.value AS val_accuracy,
  test.value AS test_accuracy,
  balanced.value AS test_balanced_accuracy,
  runs.test_images AS test_images,
  runs.seconds AS seconds
FROM runs
JOIN encoders USING (encoder_id)
JOIN heads USING (head_id)
JOIN metrics AS val ON val.run_id = runs.run_id AND val.split = 'val' AND val.name = 'accuracy'
JOIN metrics AS test ON test.run_id = runs.run_id AND test.split = 'test' AND test.name = 'accuracy'
JOIN metrics AS balanced
  ON balanced.run_id = runs.run_id AND balanced.split = 'test' AND balanced.name = 'balanced_accuracy'
ORDER BY test.value DESC, encoders.name, heads.name;
"""


def build_database(results: Path, database: Path) -> list[Path]:
    """Write `database` anew from all groups of heads below `results`; return the groups that were left out.

    results: the dataset's folder, with heads, checkpoints, runs and seals. A group is left out where the features that
    it was trained on are no more. The new database takes the place of the old one when it is whole.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    draft = database.with_name(f".{database.name}.{secrets.token_hex(4)}.tmp")
    groups = sorted(file.parent for file in (results / "heads").glob("*.zarr/*/zarr.json"))
    stale = [group for group in groups if not _features_remain(results, group)]
    try:
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(SCHEMA)
            with connection:
                for group in groups:
                    if group not in stale:
                        _insert_run(connection, results, group)
        draft.replace(database)
    except sqlite3.OperationalError as error:
        raise UnchokeError(
            "The database cannot be written.", found=str(error), where=str(database), do="make room and run again"
        ) from error
    except OSError as error:
        raise disk_error(error, database) from error
    finally:
        draft.unlink(missing_ok=True)
    return stale


def _facts(group: Path) -> dict[str, Any]:
    return zarr.open_group(group, mode="r").attrs["unchoke"]  # type: ignore[return-value]


def _seal(results: Path, group: Path) -> Path:
    return stores.seal_file(results / "features" / group.parent.name)


def _features_remain(results: Path, group: Path) -> bool:
    seal = _seal(results, group)
    return seal.exists() and _facts(group)["features_sha256"] == sha256_bytes(seal.read_bytes())


def _insert_run(connection: sqlite3.Connection, results: Path, group: Path) -> None:
    encoder, head, facts = group.parent.stem, group.name, _facts(group)
    run = read_json(results / "runs" / encoder / f"{head}.json")
    run_id = _insert(
        connection,
        "runs",
        encoder_id=_encoder_id(connection, encoder, facts["encoder"], read_json(_seal(results, group))),
        head_id=_head_id(connection, head, facts["settings"]),
        environment_id=_find_or_insert(connection, "environments", facts=canonical_json(run["environment"])),
        chosen=canonical_json(facts["chosen"]),
        seconds=run["seconds"],
        **{f"{split}_images": count for split, count in facts["images"].items()},
    )
    for split, figures in facts["metrics"].items():
        for name, value in figures.items():
            _insert(connection, "metrics", run_id=run_id, split=split, name=name, value=value)
    for kind, path in {
        "results": group / "zarr.json",
        "checkpoint": results / "checkpoints" / encoder / f"{head}.safetensors",
    }.items():
        sha256 = sha256_bytes(path.read_bytes())
        _insert(connection, "artefacts", run_id=run_id, kind=kind, path=path.as_posix(), sha256=sha256)


def _encoder_id(connection: sqlite3.Connection, name: str, settings: dict[str, Any], seal: dict[str, Any]) -> int:
    return _find_or_insert(
        connection,
        "encoders",
        name=name,
        model=settings["model"],
        trained=int(settings["trained"]),
        weights_sha256=settings["weights_sha256"],
        image_size_px=settings["image_size"],
        images=seal["images"],
        unreadable=len(seal["invalid"]),
        settings=canonical_json(settings),
    )


def _head_id(connection: sqlite3.Connection, name: str, settings: dict[str, Any]) -> int:
    return _find_or_insert(
        connection,
        "heads",
        name=name,
        kind=settings["kind"],
        pool=settings["pool"],
        settings=canonical_json(settings),
    )


def _find_or_insert(connection: sqlite3.Connection, table: str, **values: Any) -> int:
    """Id of the row of `table` whose first column is as given; the row is made where there is none."""
    key = next(iter(values))
    found = connection.execute(f"SELECT rowid FROM {table} WHERE {key} = ?", (values[key],)).fetchone()
    return int(found[0]) if found else _insert(connection, table, **values)


def _insert(connection: sqlite3.Connection, table: str, **values: Any) -> int:
    columns, places = ", ".join(values), ", ".join("?" * len(values))
    cursor = connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", tuple(values.values()))
    return int(cursor.lastrowid or 0)
