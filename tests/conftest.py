"""Of every process of tests: its threads, its temporary folders, and which tests it gets."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Read before NumPy and PyTorch are: pytest-xdist gives every core a process.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Threads of jobs sleep when they have nothing to do: spinning, they would take the cores from other tests.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import psutil
from in_memory import has_room

if TYPE_CHECKING:
    from shared_out import Units

IN_MEMORY = Path("/dev/shm")
ROOT = "PYTEST_DEBUG_TEMPROOT"  # below which pytest makes, numbers and removes its folders


def pytest_configure(config: pytest.Config) -> None:
    if config.option.basetemp is None and ROOT not in os.environ and has_room(IN_MEMORY):
        os.environ[ROOT] = str(IN_MEMORY)


def pytest_report_header(config: pytest.Config) -> str:
    where = config.option.basetemp or os.environ.get(ROOT, "where the system has them")
    return f"temporary folders: {where}; those of failed tests are kept"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """One more than there are cores: many tests wait for Snakemake, for Slurm, or for a time to pass."""
    asked = "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ
    return None if asked else (psutil.cpu_count(logical=False) or os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> "Units | None":
    if config.option.dist != "loadgroup":
        return None
    from shared_out import Units

    config.option.loadscopereorder = False  # which is by how many tests there are, not by their time
    return Units(config, log)  # type: ignore[arg-type]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        from shared_out import place_of

        items.sort(key=place_of)
