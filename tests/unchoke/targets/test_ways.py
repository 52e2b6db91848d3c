"""Which encoders have a way to be chosen: never one whose eager chunks are there without it."""

import json
from pathlib import Path

import pytest

from unchoke.targets.ways import chosen_ways, way_of_chunks


def config_of(compile_: str) -> dict[str, object]:
    encoder = {"compile": compile_, "views": ["identity", "hflip"], "pools": ["avg"]}
    return {"encoders": {"b0": encoder}, "teacher": None}


def write_record(results: Path, store: str, compiled: bool) -> None:
    record = results / "features" / f"{store}.chunks" / "3.json"
    record.parent.mkdir(parents=True)
    settings = {"weights_sha256": "w", **({"compiled_threads": 2} if compiled else {})}
    record.write_text(json.dumps({"settings": settings}))


@pytest.mark.parametrize("there", [None, False, True])
@pytest.mark.parametrize("asked", ["off", "on", "auto"])
def test_auto_leaves_eager_chunks_as_they_are(tmp_path: Path, asked: str, there: bool | None) -> None:
    if there is not None:
        write_record(tmp_path, "b0@hflip", there)
    way = tmp_path / "plans/b0.way.json"
    expected = {"off": False, "on": True, "auto": there is not False}[asked]
    assert chosen_ways(config_of(asked), tmp_path) == ({"b0": str(way)} if expected else {})
    way.parent.mkdir()
    way.touch()  # a way was chosen, eager or compiled: it stays an input
    assert chosen_ways(config_of(asked), tmp_path) == ({} if asked == "off" else {"b0": str(way)})


def test_the_way_is_that_of_readable_records_of_the_same_weights(tmp_path: Path) -> None:
    write_record(tmp_path, "b0", compiled=True)
    store = tmp_path / "features/b0.zarr"
    assert way_of_chunks([store]) == way_of_chunks([store], "w") == 2
    assert way_of_chunks([store], "other") is None
    (tmp_path / "features/b0.chunks/3.json").write_text("{")
    assert way_of_chunks([store]) is None
