"""Of every process of tests: one thread, and temporary folders in memory where it has room for them."""

import os
from pathlib import Path

import pytest

# Read before NumPy and PyTorch are: pytest-xdist gives every core a process.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from in_memory import has_room

IN_MEMORY = Path("/dev/shm")
ROOT = "PYTEST_DEBUG_TEMPROOT"  # below which pytest makes, numbers and removes its folders


def pytest_configure(config: pytest.Config) -> None:
    if config.option.basetemp is None and ROOT not in os.environ and has_room(IN_MEMORY):
        os.environ[ROOT] = str(IN_MEMORY)


def pytest_report_header(config: pytest.Config) -> str:
    where = config.option.basetemp or os.environ.get(ROOT, "where the system has them")
    return f"temporary folders: {where}; those of failed tests are kept"
