"""What several test modules share."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from warm_house import House, build_house

hypothesis.settings.register_profile("unchoke", deadline=None, max_examples=25)
hypothesis.settings.load_profile("unchoke")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a card where there is none."""
    if item.get_closest_marker("card") and not torch.cuda.is_available():
        pytest.skip("no CUDA card here")


@pytest.fixture
def place() -> Callable[..., Path]:
    """Put small files below a folder; what they hold does not matter to a listing."""

    def place_files(folder: Path, *names: str) -> Path:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"pixels")
        return folder

    return place_files


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A folder of commands with a client and workers of its own."""
    house = build_house(tmp_path)
    yield house
    if worker := house.worker():
        os.kill(worker, signal.SIGKILL)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread a product, so that tests do not wait for other work of the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
