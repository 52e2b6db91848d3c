"""Two processes on CPUs against one; what is refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import shared_steps
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file

from unchoke.errors import UnchokeError
from unchoke.networks.cards import Cards, join_cards

pytestmark = pytest.mark.usefixtures("one_thread")
HELPERS = Path(__file__).parents[1] / "helpers"


def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(HELPERS.parents[2] / "scripts"), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, HELPERS / "shared_steps.py", tmp_path], check=True, capture_output=True, env=environment, timeout=300
    )
    alone = shared_steps.train()
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
    cards, device = join_cards(1, torch.device("cpu"))
    assert (cards, device) == (Cards(0, 1), torch.device("cpu"))
    assert cards.any(True, device) and not cards.any(False, device)


def test_more_cards_than_there_are_or_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UnchokeError, match=r"(?s)fewer cards.*2 cards.*cards: 3.*lower cards"):
        join_cards(3, torch.device("cuda"))
    with pytest.raises(UnchokeError, match=r"(?s)not started together.*1 processes.*nproc-per-node 2"):
        join_cards(2, torch.device("cpu"))
