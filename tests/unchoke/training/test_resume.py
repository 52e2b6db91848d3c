"""Saved states: what is loaded is what was saved, and nothing of another training."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from unchoke.training import resume
from unchoke.training.resume import State, StateFile, part_of, training_key

FACTS = {"version": 1, "settings": {"epochs": 3}, "data": ["data"]}


def state_of(epochs: int = 2) -> State:
    weight = torch.tensor([[torch.nan, 1.5, -0.0], [torch.inf, 1e-45, epochs]])
    state = State({"epoch": epochs, "micro_batch": 4}, {"now.weight": weight, "ended": weight[0].isnan()})
    for epoch in range(epochs):
        state.record(loss=torch.full((2, 3), float(epoch)), score=weight[1])
    return state


def check_same(found: State | None, expected: State) -> None:
    assert found is not None and found.counters == expected.counters
    exact = {"rtol": 0.0, "atol": 0.0, "equal_nan": True}
    torch.testing.assert_close(found.tensors, expected.tensors, **exact)
    torch.testing.assert_close(found.curves, expected.curves, **exact)


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path, training_key(**FACTS))


def test_the_latest_state_is_loaded_as_it_was_saved(file: StateFile, tmp_path: Path) -> None:
    for epochs in (1, 3):
        file.save(state_of(epochs))
    check_same(StateFile(tmp_path, training_key(**FACTS)).load(), state_of(3))
    assert list(tmp_path.iterdir()) == [file.path]


def test_a_loaded_state_lies_in_memory_as_a_new_one_does(file: StateFile) -> None:
    file.save(State({"epoch": 1}, {f"{size}": torch.ones(size) for size in range(1, 9)}))
    loaded = file.load()
    assert loaded and not any(tensor.data_ptr() % 64 for tensor in loaded.tensors.values())


@pytest.mark.parametrize("change", [{"version": 2}, {"settings": {"epochs": 4}}, {"data": ["data", 0]}], ids=str)
def test_a_state_of_another_training_is_not_loaded(file: StateFile, tmp_path: Path, change: dict[str, Any]) -> None:
    other = StateFile(tmp_path, training_key(**{**FACTS, **change}))
    file.save(state_of())
    assert other.load() is None
    assert file.path and other.path and file.path != other.path
    shutil.copy(file.path, other.path)
    assert other.load() is None
    save_file({"epoch": torch.tensor(3)}, other.path)  # without a key
    assert other.load() is None


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_a_damaged_file_is_named_and_training_starts_anew(file: StateFile, length: int, capsys: Any) -> None:
    file.save(state_of())
    assert file.path
    file.path.write_bytes(file.path.read_bytes()[:length])
    assert file.load() is None
    assert str(file.path) in capsys.readouterr().out


@pytest.mark.parametrize(("every_s", "expected_s"), [(None, [6, 12]), (4, [5, 10]), (30, [])])
def test_saves_are_due_when_there_is_work_to_lose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_s: float | None, expected_s: list[int]
) -> None:
    now_s, due_s = [100.0], []
    monkeypatch.setattr(resume.time, "monotonic", lambda: now_s[0])
    file = StateFile(tmp_path, "key", every_s)
    for second in range(14):
        now_s[0] = 100.0 + second
        if file.is_due():
            due_s.append(second)
            file.save(state_of())
    assert due_s == expected_s


def test_without_a_folder_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "SAVE_EVERY_S", -1)
    file = StateFile(None, "key")
    file.save(state_of())
    assert not file.is_due() and file.load() is None


def test_parts_are_named_without_their_prefix() -> None:
    tensors = {name: torch.zeros(()) for name in ("1.model.weight", "11.model.weight", "1.kept.bias", "scores")}
    assert set(part_of(tensors, "1")) == {"model.weight", "kept.bias"}
