"""The promises of the design, held by killing real processes and comparing bytes."""

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import Clone, make_clone, store_digests


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until `path` is there; the process that shall make it must not have ended before."""
    while not path.exists():
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"snakemake ended before {path.name} was there")


@pytest.mark.xdist_group("run")
@pytest.mark.parametrize("seed", [0, 1])
def test_a_killed_run_ends_in_the_same_bytes(finished: tuple[Clone, str], tmp_path: Path, seed: int) -> None:
    clone = make_clone(tmp_path / "killed")
    process = subprocess.Popen(
        clone.command("--cores", "2"),
        cwd=clone.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(clone.results / "manifest.json", process)
    try:
        process.wait(random.Random(seed).uniform(0, 9))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    clone.snakemake("--unlock")
    clone.snakemake("--cores", "2")
    assert store_digests(clone) == store_digests(finished[0])


@pytest.mark.xdist_group("run")
def test_one_core_gives_the_same_bytes(finished: tuple[Clone, str], tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "one core")
    clone.snakemake("--cores", "1")
    assert store_digests(clone) == store_digests(finished[0])
