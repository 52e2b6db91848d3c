"""Two processes on CPUs against one; what is refused."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import two_processes
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file
from small_networks import CPU

from unchoke.errors import UnchokeError
from unchoke.networks.cards import Cards, same_command, shared_steps, visible_cards

pytestmark = pytest.mark.usefixtures("one_thread")
HELPERS = Path(__file__).parents[1] / "helpers"


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(HELPERS.parents[2] / "scripts")}
    command = [sys.executable, HELPERS / "two_processes.py", tmp_path]
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=300)
    alone = two_processes.train()
    together = [load_file(tmp_path / f"member{rank}.safetensors") for rank in (0, 1)]
    for name, tensor in alone.tensors.items():
        assert torch.equal(together[0][name], together[1][name])
        torch.testing.assert_close(together[0][name], tensor, rtol=1e-6, atol=1e-6)
    for rank in (0, 1):
        with safe_open(tmp_path / f"member{rank}.safetensors", "pt") as file:
            assert file.metadata() == {"micro_batch": "4"}
    assert len((tmp_path / "steps0.csv").read_text().splitlines()) == 9 and not (tmp_path / "steps1.csv").exists()


@given(rows=st.integers(0, 70), count=st.integers(1, 9))
def test_each_row_of_a_batch_has_one_process(rows: int, count: int) -> None:
    parts = [Cards(rank, count).rows(rows) for rank in range(count)]
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(rows))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_one_process_is_alone() -> None:
    with shared_steps(1, CPU, []) as cards:
        assert cards == Cards(0, 1)
        assert cards.any(True, CPU) and not cards.any(False, CPU)


def test_each_process_has_a_card_and_more_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_cards(2, cuda) == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    with pytest.raises(UnchokeError, match=r"(?s)fewer cards.*2 cards.*cards: 3.*lower cards"):
        visible_cards(3, cuda)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, GPU-ab,2")
    assert [card["CUDA_VISIBLE_DEVICES"] for card in visible_cards(3, cuda)] == ["5", "GPU-ab", "2"]


def test_an_error_ends_the_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    original = subprocess.Popen

    def start(*given: Any, **named: Any) -> Any:
        started.append(original(*given, **named))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(ValueError, match="odd"), shared_steps(3, CPU, sleeping):
        raise ValueError("odd")
    assert [process.returncode for process in started] == [-signal.SIGKILL] * 2


def test_another_process_runs_the_same_command_without_its_receipt() -> None:
    found = same_command(["scripts/train_member.py", "--rate", "0.1", "--receipt", "a b.json", "--seed", "1"])
    assert found == [sys.executable, "scripts/train_member.py", "--rate", "0.1", "--seed", "1"]
    assert same_command(["x.py"]) == [sys.executable, "x.py"]
