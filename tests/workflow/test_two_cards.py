"""Several cards on one machine: `--resources gpu=2` gives two workers, and the bytes of one."""

import os
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, Clone, make_clone, store_digests


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the workers of this test have their sockets and logs; no card is shown that is there."""
    monkeypatch.setitem(ENVIRONMENT, "XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delitem(ENVIRONMENT, "CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path / f"unchoke-{os.getuid()}"


@pytest.mark.xdist_group("run")
def test_two_cards_have_a_worker_each_and_give_the_bytes_of_one(
    finished: tuple[Clone, str], tmp_path: Path, sockets: Path
) -> None:
    clone = make_clone(tmp_path / "two", decoding={"threads": 1}, gpu={"device": "cpu"}).with_own_worker()
    seal = "results/few/features/tiny.sealed.json"
    clone.snakemake(seal, "--cores", "2", "--resources", "gpu=2")
    assert len(list(sockets.glob("*-*.log"))) == 2
    assert not [path for path in sockets.iterdir() if path.is_socket()]  # both were told to end
    made, expected = store_digests(clone), store_digests(finished[0])
    assert seal in made and made == {path: expected[path] for path in made}
