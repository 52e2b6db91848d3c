"""A checkpoint is believed as it was written, under its own name, or wherever it was taken by itself."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from unchoke.errors import UnchokeError
from unchoke.hashing import canonical_json
from unchoke.store.checkpoints import read_checkpoint_file, write_checkpoint
from unchoke.store.zarr_bytes import MemoryGroup, place_group

FACTS = {"version": 7, "classes": ["ant", "bee"]}


def write(results: Path, head: str = "one", value: float = 1.0) -> Path:
    path = results / f"checkpoints/tiny/{head}.safetensors"
    tensors = {"weight": torch.full((2, 3), value), "bias": torch.tensor(0.5)}
    sha256 = write_checkpoint(path, [tensors], FACTS)
    place_group(MemoryGroup({"checkpoint_sha256": sha256}).contents(), results / f"heads/tiny.zarr/{head}")
    return path


def read(path: Path) -> tuple[dict[str, Any], list[dict[str, torch.Tensor]]]:
    return read_checkpoint_file(path, "head", 7, ["classes"])


def with_facts(path: Path, facts: object) -> None:
    save_file(load_file(path), path, metadata={"unchoke": canonical_json(facts)})


def facts_in(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return json.loads(header["__metadata__"]["unchoke"])  # type: ignore[no-any-return]


def test_a_checkpoint_reads_back_also_where_it_was_taken_by_itself(tmp_path: Path) -> None:
    path = write(tmp_path)
    away = shutil.copy(path, tmp_path / "renamed.safetensors")
    for place in (path, Path(away)):
        facts, (tensors,) = read(place)
        assert facts == {"classes": ["ant", "bee"]} and tensors["weight"].tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("where", ["in its place", "taken away"])
def test_a_flipped_bit_of_any_tensor_is_refused(tmp_path: Path, where: str) -> None:
    path = write(tmp_path)
    whole = path.read_bytes()
    target = path if where == "in its place" else tmp_path / "away.safetensors"
    for place in (len(whole) - 1, len(whole) - 20):
        target.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UnchokeError, match="not as it was written"):
            read(target)


def test_swapped_class_names_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path)
    with_facts(path, {**facts_in(path), "classes": ["bee", "ant"]})
    with pytest.raises(UnchokeError, match=r"(?s)not as it was written.*--forcerun .*one\.safetensors"):
        read(path)


def test_another_heads_file_and_an_older_one_under_this_name_are_refused(tmp_path: Path) -> None:
    path, other, older = write(tmp_path), write(tmp_path, "two"), write(tmp_path / "before", value=2.0)
    for source, found in ((other, "the head tiny/two"), (older, "another file than the one whose results")):
        shutil.copy(source, path)
        with pytest.raises(UnchokeError, match=rf"(?s)not as it was written.*{found}"):
            read(path)


@pytest.mark.parametrize("facts", [[], {}, None, 3, "x", {"version": 7}, {**FACTS, "sha256": []}])
def test_facts_of_any_other_kind_are_an_error_with_a_message(tmp_path: Path, facts: object) -> None:
    path = write(tmp_path)
    with_facts(path, facts)
    with pytest.raises(UnchokeError):
        read(path)
