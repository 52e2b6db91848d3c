"""experiments.db: derived from the groups of heads alone, best head first."""

import json
import sqlite3
from pathlib import Path

import pytest

from unchoke import stores
from unchoke.database import build_database
from unchoke.errors import UnchokeError
from unchoke.files import json_bytes, write_atomic
from unchoke.hashing import sha256_bytes
from unchoke.leaderboard import leaderboard, leaderboard_text
from unchoke.zarr_files import MemoryGroup, place_group

ENCODER = {"model": "m", "trained": False, "weights_sha256": "0" * 64, "image_size": 32}


def add_head(results: Path, name: str, test_accuracy: float, features_sha256: str | None = None) -> None:
    seal = stores.seal_file(results / "features/tiny.zarr")
    write_atomic(seal, json_bytes({"images": 9, "invalid": []}))
    figures = {"accuracy": test_accuracy, "balanced_accuracy": test_accuracy / 2}
    facts = {
        "settings": {"kind": "knn", "pool": "avg"},
        "encoder": ENCODER,
        "features_sha256": features_sha256 or sha256_bytes(seal.read_bytes()),
        "chosen": {"k": 3},
        "metrics": {"val": figures, "test": figures},
        "images": {"train": 5, "val": 2, "test": 2},
    }
    place_group(MemoryGroup(facts).contents(), results / "heads/tiny.zarr" / name)
    write_atomic(results / f"checkpoints/tiny/{name}.safetensors", name.encode())
    write_atomic(results / f"runs/tiny/{name}.json", json_bytes({"seconds": 1.5, "environment": {"torch": "2"}}))


def test_the_leaderboard_has_the_best_first(tmp_path: Path) -> None:
    for name, accuracy in {"a": 0.5, "b": 0.9, "c": 0.7}.items():
        add_head(tmp_path, name, accuracy)
    build_database(tmp_path, tmp_path / "experiments.db")
    board = [(row["head"], row["test_accuracy"]) for row in leaderboard(tmp_path / "experiments.db")]
    assert board == [("b", 0.9), ("c", 0.7), ("a", 0.5)]
    assert "its figures are a floor" in leaderboard_text(tmp_path / "experiments.db")


def test_every_artefact_is_there_with_its_digest(tmp_path: Path) -> None:
    add_head(tmp_path, "a", 0.5)
    build_database(tmp_path, tmp_path / "experiments.db")
    rows = sqlite3.connect(tmp_path / "experiments.db").execute("SELECT path, sha256 FROM artefacts").fetchall()
    assert len(rows) == 2
    assert all(sha256_bytes(Path(path).read_bytes()) == sha256 for path, sha256 in rows)


def test_a_row_without_its_parent_is_refused(tmp_path: Path) -> None:
    add_head(tmp_path, "a", 0.5)
    build_database(tmp_path, tmp_path / "experiments.db")
    connection = sqlite3.connect(tmp_path / "experiments.db")
    assert not connection.execute("PRAGMA foreign_key_check").fetchall()
    connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute("INSERT INTO metrics VALUES (99, 'test', 'accuracy', 1.0)")


def test_heads_on_features_that_are_no_more_are_left_out_and_named(tmp_path: Path) -> None:
    add_head(tmp_path, "old", 0.99, features_sha256="f" * 64)
    add_head(tmp_path, "new", 0.5)
    assert build_database(tmp_path, tmp_path / "experiments.db") == [tmp_path / "heads/tiny.zarr/old"]
    assert [row["head"] for row in leaderboard(tmp_path / "experiments.db")] == ["new"]


def test_a_failed_rebuild_leaves_the_old_database(tmp_path: Path) -> None:
    add_head(tmp_path, "a", 0.5)
    build_database(tmp_path, tmp_path / "experiments.db")
    before = (tmp_path / "experiments.db").read_bytes()
    (tmp_path / "runs/tiny/a.json").write_text("{")
    with pytest.raises(UnchokeError, match="JSON"):
        build_database(tmp_path, tmp_path / "experiments.db")
    assert (tmp_path / "experiments.db").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_facts_are_kept_as_json(tmp_path: Path) -> None:
    add_head(tmp_path, "a", 0.5)
    build_database(tmp_path, tmp_path / "experiments.db")
    connection = sqlite3.connect(tmp_path / "experiments.db")
    assert json.loads(connection.execute("SELECT settings FROM encoders").fetchone()[0]) == ENCODER
    assert json.loads(connection.execute("SELECT chosen FROM runs").fetchone()[0]) == {"k": 3}
