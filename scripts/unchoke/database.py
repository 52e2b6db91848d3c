"""Stage: experiments.db, derived from the groups of all heads and rebuilt whenever one of them changes."""

import secrets
import sqlite3
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from unchoke import metrics, stores, tables, versions
from unchoke.comparisons import compare_answers, read_answers
from unchoke.errors import UnchokeError
from unchoke.evaluation import DEFAULT, Bootstrap
from unchoke.files import disk_error, read_json
from unchoke.hashing import canonical_json, sha256_bytes
from unchoke.names import store_name

SCHEMA = Path(__file__).with_suffix(".sql")


def build_database(results: Path, database: Path, bootstrap: Bootstrap = DEFAULT) -> list[Path]:
    """Write `database` anew from all groups of heads below `results`; return the groups that were left out.

    results: the dataset's folder, with manifest, heads, checkpoints, runs and seals. A group is left out where
    another version wrote it, or where the features that it was trained on are no more. The new database takes the place
    of the old one when it is whole.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    draft = database.with_name(f".{database.name}.{secrets.token_hex(4)}.tmp")
    groups = sorted(file.parent for file in (results / "heads").glob("*.zarr/[!.]*/zarr.json"))
    stale = [group for group in groups if not _is_current(results, group)]
    try:
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(SCHEMA.read_text())
            with connection:
                for group in groups:
                    if group not in stale:
                        _insert_run(connection, results, group)
                _insert_comparisons(connection, [group for group in groups if group not in stale], results, bootstrap)
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


def _seal(results: Path, encoder: str, view: str = "identity") -> Path:
    return stores.seal_file(results / "features" / f"{store_name(encoder, view)}.zarr")


def _is_current(results: Path, group: Path) -> bool:
    """Whether a group was written by this version, from features that are still those in the store."""
    facts, encoder = _facts(group), group.parent.stem
    if facts["version"] != versions.HEADS or not (results / "runs" / encoder / f"{group.name}.json").exists():
        return False
    seals = {_seal(results, encoder, view): sha256 for view, sha256 in facts["features_sha256"].items()}
    return all(seal.exists() and sha256_bytes(seal.read_bytes()) == sha256 for seal, sha256 in seals.items())


def _insert_run(connection: sqlite3.Connection, results: Path, group: Path) -> None:
    encoder, head, facts = group.parent.stem, group.name, _facts(group)
    run = read_json(results / "runs" / encoder / f"{head}.json")
    run_id = _insert(
        connection,
        "runs",
        encoder_id=_encoder_id(connection, encoder, facts["encoder"], _any_seal(results, encoder, facts)),
        head_id=_head_id(connection, head, facts["settings"]),
        environment_id=_find_or_insert(connection, "environments", facts=canonical_json(run["environment"])),
        chosen=canonical_json(facts["chosen"]),
        replicates=facts["replicates"],
        seconds=run["seconds"],
        **{f"{split}_images": count for split, count in facts["images"].items()},
    )
    for split, figures in facts["metrics"].items():
        for name, figure in figures.items():
            _insert(connection, "metrics", run_id=run_id, split=split, name=name, **figure)
    _insert_trials(connection, run_id, facts["history"])
    _insert_classes(connection, run_id, group, facts["classes"])
    checkpoint, metadata = results / "checkpoints" / encoder / f"{head}.safetensors", group / "zarr.json"
    digests = {metadata: sha256_bytes(metadata.read_bytes()), checkpoint: facts["checkpoint_sha256"]}
    for kind, path in {"results": metadata, "checkpoint": checkpoint}.items():
        if path.exists():  # the checkpoint of a head of the past may have been deleted
            _insert(connection, "artefacts", run_id=run_id, kind=kind, path=path.as_posix(), sha256=digests[path])


def _any_seal(results: Path, encoder: str, facts: dict[str, Any]) -> dict[str, Any]:
    """The seal of one of the views that a head has read."""
    return read_json(_seal(results, encoder, min(facts["features_sha256"])))  # type: ignore[no-any-return]


def _insert_trials(connection: sqlite3.Connection, run_id: int, history: dict[str, list[Any]]) -> None:
    for trial, values in enumerate(zip(*history.values(), strict=True)):
        tried = dict(zip(history, values, strict=True))
        score = tried.pop("val_score")
        _insert(connection, "trials", run_id=run_id, trial=trial, settings=canonical_json(tried), val_score=score)


def _insert_classes(connection: sqlite3.Connection, run_id: int, group: Path, classes: list[str]) -> None:
    """The table of classes on test: means over the replicates."""
    arrays = zarr.open_group(group, mode="r")
    label_N, predicted_RN = np.asarray(arrays["test_label"]), np.asarray(arrays["test_logits"]).argmax(-1)
    each = [metrics.per_class(metrics.class_counts(label_N, row, len(classes))) for row in predicted_RN]
    table = {name: np.mean([one[name] for one in each], 0) for name in each[0]}
    for place, label in enumerate(classes):
        shares = {name: float(table[name][place]) for name in ("precision", "recall", "f1")}
        images = int(table["support"][place])
        _insert(connection, "classes", run_id=run_id, **{"class": label}, test_images=images, **shares)


def _insert_comparisons(
    connection: sqlite3.Connection, groups: list[Path], results: Path, bootstrap: Bootstrap
) -> None:
    """Every run against the one of the best accuracy on val, image by image of test."""
    if not groups:
        return
    query = """
        SELECT encoders.name, heads.name, run_id FROM runs
        JOIN encoders USING (encoder_id) JOIN heads USING (head_id) JOIN metrics USING (run_id)
        WHERE split = 'val' AND metrics.name = 'accuracy' ORDER BY value DESC, encoders.name, heads.name
    """
    runs = {(encoder, head): run_id for encoder, head, run_id in connection.execute(query)}
    places = {(group.parent.stem, group.name): group for group in groups}
    belongs = tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS).set_index("image_id")["group"]
    first = next(iter(runs))
    best = read_answers(places[first])
    for name, run_id in runs.items():
        found = compare_answers(read_answers(places[name]), best, belongs, bootstrap)
        values = asdict(found) if found else {"images": 0}
        _insert(connection, "comparisons", run_id=run_id, best_run_id=runs[first], **values)


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
    text = canonical_json(settings)  # a head of the past may share its name with one of other settings
    values = {"name": name, "settings": text, "kind": settings["kind"], "pool": settings["pool"]}
    return _find_or_insert(connection, "heads", keys=2, **values)


def _find_or_insert(connection: sqlite3.Connection, table: str, keys: int = 1, **values: Any) -> int:
    """Id of the row of `table` whose first columns are as given; the row is made where there is none."""
    first = list(values)[:keys]
    condition = " AND ".join(f"{key} = ?" for key in first)
    query = f"SELECT rowid FROM {table} WHERE {condition}"
    found = connection.execute(query, [values[key] for key in first]).fetchone()
    return int(found[0]) if found else _insert(connection, table, **values)


def _insert(connection: sqlite3.Connection, table: str, **values: Any) -> int:
    columns, places = ", ".join(values), ", ".join("?" * len(values))
    cells = tuple(_printable(value) if isinstance(value, str) else value for value in values.values())
    cursor = connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", cells)
    return int(cursor.lastrowid or 0)


def _printable(text: str) -> str:
    """Text as SQLite takes it: bytes of a file name that are not UTF-8 are written as ``\\xff``."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
