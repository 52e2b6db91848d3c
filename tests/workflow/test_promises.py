"""The promises of the design, held by killing real processes and comparing bytes."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, Clone, assert_same_bytes, jobs, make_clone, store_digests

# What is killed, and after how many chunks. `make bench` kills a hundred runs at any time.
KILLS = {"snakemake": 1, "client": 5, "worker": 9}
CHUNKS = "features/tiny.zarr/avg/c/*/0"
FEW = {"chunk_size": 4}  # twelve chunks: a long time in which to be killed
# All whose bytes are promised: of the later results the bytes are not.
HEADS = ("heads/tiny.zarr/logistic/zarr.json", "heads/tiny.zarr/neighbours/zarr.json")
TARGETS = tuple(f"results/few/{name}" for name in (*HEADS, "quarantine.csv"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    clone = make_clone(tmp_path_factory.mktemp("undisturbed") / "clone", **FEW)
    clone.snakemake("--cores", "2", *TARGETS)
    return clone


def start(clone: Clone, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        clone.command("--cores", "2", *arguments),
        cwd=clone.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=clone.environment,
    )


def wait_for(clone: Clone, pattern: str, run: "subprocess.Popen[bytes]", count: int = 1) -> None:
    """Until so many of a clone's results match `pattern`; the run that shall make them must not have ended before."""
    while len(list(clone.results.glob(pattern))) < count:
        assert run.poll() is None, f"snakemake ended before there was {pattern}, {count} of them"
        time.sleep(0.01)


def processes(clone: Clone, text: str) -> Iterator[int]:
    """Processes of a clone whose command line holds `text`."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, place = (folder / "cmdline").read_bytes(), (folder / "cwd").readlink()
        except OSError:
            continue
        if text.encode() in command and place.is_relative_to(clone.folder):
            yield int(folder.name)


def kill(clone: Clone, victim: str, run: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to Snakemake and all its jobs, or as soon as there is one to the worker or to a client; the run's end."""
    text = {"snakemake": "-m\0snakemake", "worker": "unchoke.machine.worker", "client": "scripts/warm"}[victim]
    while not (found := list(processes(clone, text))):
        assert run.poll() is None, f"snakemake ended before there was a {victim}"
    for pid in found:
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL) if pid == run.pid else os.kill(pid, signal.SIGKILL)
    run.wait(120)


def chunks_of(clone: Clone) -> int:
    return len(list(clone.results.glob(CHUNKS)))


@pytest.mark.xdist_group("killed")
def test_a_run_that_was_killed_again_and_again_ends_in_the_same_bytes(undisturbed: Clone, tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "killed", **FEW).with_own_worker()
    for victim, chunks in KILLS.items():
        assert chunks_of(clone) < chunks
        run = start(clone, *TARGETS)
        wait_for(clone, CHUNKS, run, chunks)
        kill(clone, victim, run)
    clone.snakemake("--cores", "2", *TARGETS)
    assert_same_bytes(clone, undisturbed)


@pytest.mark.xdist_group("run")
def test_cores_do_not_move_a_byte(finished: tuple[Clone, str], tmp_path: Path) -> None:
    """One core, where the finished run had eight."""
    clone = make_clone(tmp_path / "another run")
    clone.snakemake("--cores", "1", *TARGETS)
    assert_same_bytes(clone, finished[0])


@pytest.mark.xdist_group("run")
def test_commands_of_their_own_give_the_bytes_of_the_warm_worker(
    finished: tuple[Clone, str], rerun: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk and all heads, made anew: every command takes seconds to read torch."""
    monkeypatch.setitem(ENVIRONMENT, "UNCHOKE_WARM", "0")
    chunks = [f"results/few/features/tiny.zarr/{array}/c/1/0" for array in ("avg", "max")]
    for chunk in chunks:
        (rerun.folder / chunk).unlink()
    for folder in ("heads", "checkpoints", "runs"):
        shutil.rmtree(rerun.results / folder)
    output = rerun.snakemake("--cores", "2", *chunks, *TARGETS)
    assert [jobs(output, rule) for rule in ("extract_chunk", "seal_features", "train_head")] == [1, 1, 2]
    assert_same_bytes(rerun, finished[0])


@pytest.mark.xdist_group("run")
def test_two_runs_at_once_on_two_datasets_both_end_well(finished: tuple[Clone, str], rerun: Clone) -> None:
    """They share one worker, which serves them in turn."""
    text = (rerun.folder / "my.yaml").read_text()
    names = ("left", "right")
    for name in names:
        (rerun.folder / f"{name}.yaml").write_text(text.replace("name: few", f"name: {name}"))
    runs = []
    for name in names:
        targets = [target.replace("few", name) for target in TARGETS]
        command = [*rerun.command("--cores", "1", *targets)[:-1], f"{name}.yaml"]
        run = subprocess.Popen(command, cwd=rerun.folder, env=rerun.environment, stdout=subprocess.DEVNULL)
        runs.append(run)
    assert [run.wait(300) for run in runs] == [0, 0]
    expected = {path.split("/", 2)[2]: digest for path, digest in store_digests(finished[0]).items()}
    for name in names:
        other = Clone(rerun.folder, name)
        assert {path.split("/", 2)[2]: digest for path, digest in store_digests(other).items()} == expected
