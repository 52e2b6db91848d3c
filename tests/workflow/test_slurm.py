"""The workflow on a real Slurm: what a submission asks for, and that nothing is lost to a cluster's usual mishaps."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
from conftest import CONFIG, Clone, assert_same_bytes, make_clone
from slurm_sandbox import Slurm, missing, slurm_sandbox

pytestmark = [
    pytest.mark.xdist_group("slurm"),
    pytest.mark.skipif(bool(missing()), reason=missing() or "Slurm is here"),
]

# Twelve chunks in three submissions, of which two have a card at once; cleaning goes to the partition without cards.
SECTIONS = {
    "chunk_size": 4,
    "gpu": {"device": "cpu"},  # the cards are none
    "cleaning": {"chunks_per_job": 6},
    "heads": {"logistic": CONFIG["heads"]["logistic"]},
}
PROFILE = (
    *("--workflow-profile", "workflow/profiles/slurm", "--resources", "gpu=2", "--cores", "2"),
    *("--group-components", "features=4", "fingerprints=2", "--retries", "0", "--latency-wait", "5"),
    *("--slurm-partition-config", "partitions.yaml", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "1"),
)
# What bytes are promised of: all that is submitted, and no figures of the report.
TARGETS = ("results/few/findings.csv", "results/few/heads/tiny.zarr/logistic/zarr.json")
PARTITIONS = """
partitions:
  cpu: {max_runtime: 100000}
  card: {max_runtime: 100000, max_gpu: 1}
"""
# The plugin looks at the queue less and less often, which is right for hours and not for a test.
SNAKEMAKE = """
import sys
from snakemake_executor_plugin_slurm import Executor
Executor.next_seconds_between_status_checks = property(lambda self: 1.0, lambda self, value: None)
from snakemake.cli import main
main(sys.argv[1:])
"""
# A worker notes each chunk with its Slurm job, itself and its card; a job's second chunk waits where it is told to.
HOLD = """

def _hold():
    import os, time
    from pathlib import Path
    job, notes = os.environ["SLURM_JOB_ID"], Path("notes")
    second = notes.exists() and any(line.split()[0] == job for line in notes.read_text().splitlines())
    with notes.open("a") as file:
        file.write(f"{job} {os.getpid()} {os.environ['CUDA_VISIBLE_DEVICES']}\\n")
    while second and (not Path("go on").exists() or Path(f"hold {job}").exists()):
        time.sleep(0.05)


_extract_chunk = main


def main(argv=None):
    _hold()
    return _extract_chunk(argv)
"""
LIMIT_S = 150.0  # of a wait that should take seconds


@dataclass(frozen=True)
class Note:
    """What the worker noted of a chunk."""

    job: str
    worker: int
    card: str


def notes(clone: Clone) -> list[Note]:
    file = clone.folder / "notes"
    lines = file.read_text().splitlines() if file.exists() else []
    return [Note(job, int(worker), card) for job, worker, card in map(str.split, lines)]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with slurm_sandbox(tmp_path_factory.mktemp("slurm") / "cluster") as slurm:
        yield slurm


@pytest.fixture(scope="module")
def disturbed(slurm: Slurm, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Disturbed"]:
    """A run with a job cancelled half way, one at its time limit, and a node drained and resumed."""
    clone = make_clone(tmp_path_factory.mktemp("disturbed") / "clone", **SECTIONS).with_own_worker()
    (clone.folder / "partitions.yaml").write_text(PARTITIONS)
    with (clone.folder / "scripts/extract_chunk.py").open("a") as command:
        command.write(HOLD)
    with on_slurm(clone, slurm) as run:
        yield disturb(clone, slurm, run)


@dataclass(frozen=True)
class Disturbed:
    """What was seen of that run, which has ended."""

    clone: Clone
    cancelled: dict[str, str]
    late: dict[str, str]
    drained: dict[str, str]
    notes_of_two: list[Note]


@dataclass(frozen=True)
class Run:
    """Snakemake with our profile."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def end(self, status: int) -> str:
        """What it printed, after it has ended as expected."""
        ended = self.process.wait(LIMIT_S)
        assert ended == status, self.log.read_text()
        return self.log.read_text()

    def wait_for(self, holds: Callable[[], bool]) -> None:
        """Until `holds()`; the run must go on until then."""
        end = time.monotonic() + LIMIT_S
        while not holds():
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)


@contextmanager
def on_slurm(clone: Clone, slurm: Slurm) -> Iterator[Run]:
    """A run that is gone afterwards; the sandbox ends its jobs."""
    command = [sys.executable, "-c", SNAKEMAKE, *clone.command(*TARGETS, "--keep-going", *PROFILE)[3:]]
    log = clone.folder / "snakemake.log"
    with log.open("wb") as output:
        environment = {**clone.environment, **slurm.environment}
        process = subprocess.Popen(command, cwd=clone.folder, env=environment, stdout=output, stderr=output)
    try:
        yield Run(process, log)
    finally:
        process.kill()
        process.wait()


def disturb(clone: Clone, slurm: Slurm, run: Run) -> Disturbed:
    run.wait_for(lambda: list(held(clone).values()) == [2, 2])
    cancelled, late = sorted(held(clone), key=int)
    seen = {job: slurm.describe(job) for job in (cancelled, late)}
    slurm.set_node("DRAIN")
    (clone.folder / f"hold {late}").touch()
    (clone.folder / "go on").touch()
    slurm.ask("scancel", cancelled)
    slurm.ask("scontrol", "update", f"JobId={late}", f"EndTime={datetime.now():%FT%T}")
    run.wait_for(lambda: len(features_jobs(slurm)) == 3)
    third = features_jobs(slurm)[-1]
    drained = slurm.describe(third)
    slurm.set_node("RESUME")
    run.end(status=1)
    return Disturbed(
        clone,
        seen[cancelled] | {"Ended": slurm.describe(cancelled)["JobState"]},
        seen[late] | {"Ended": slurm.describe(late)["JobState"]},
        drained | {"Ended": slurm.describe(third)["JobState"]},
        [note for note in notes(clone) if note.job in (cancelled, late)],
    )


def held(clone: Clone) -> dict[str, int]:
    """Chunks that each Slurm job has taken on."""
    seen = notes(clone)
    return {note.job: sum(other.job == note.job for other in seen) for note in seen}


def features_jobs(slurm: Slurm) -> list[str]:
    """The submissions of chunks so far, oldest first."""
    lines = slurm.ask("squeue", "--noheader", "--format=%i %k", "--sort=i", "--states=all").splitlines()
    return [line.split()[0] for line in lines if "extract_chunk" in line]


def test_a_submission_of_many_chunks_asks_for_one_card_and_the_memory_of_one(disturbed: Disturbed) -> None:
    for job in (disturbed.cancelled, disturbed.late, disturbed.drained):
        assert job["TresPerJob"] == "gres:gpu:1"
        assert job["CPUs/Task"] == "2"
        assert job["TimeLimit"] == "00:08:00"  # 2 minutes each of 4 chunks
        assert int(job["MinMemoryNode"].removesuffix("M")) < 4000


def test_as_many_submissions_as_cards_run_at_once_each_with_a_worker_and_a_card_of_its_own(
    disturbed: Disturbed,
) -> None:
    assert {job["JobState"] for job in (disturbed.cancelled, disturbed.late)} == {"RUNNING"}
    workers = {
        note.job: {other.worker for other in disturbed.notes_of_two if other.job == note.job}
        for note in disturbed.notes_of_two
    }
    assert len(workers) == 2 and [len(pids) for pids in workers.values()] == [1, 1]
    assert len(set.union(*workers.values())) == 2
    assert {note.card for note in disturbed.notes_of_two} == {"0", "1"}


def test_jobs_with_a_card_go_to_their_partition(disturbed: Disturbed, slurm: Slurm) -> None:
    assert disturbed.cancelled["Partition"] == "card"
    lines = slurm.ask("squeue", "--noheader", "--format=%P %k", "--states=all").splitlines()
    rules = {
        partition: {line.split()[1] for line in lines if line.split()[0] == partition} for partition in ("cpu", "card")
    }
    assert any("fingerprint_chunk" in rule for rule in rules["cpu"])
    assert any("plan_memory" in rule for rule in rules["card"])
    for local in ("fetch_weights", "build_manifest", "seal_", "draw_", "list_", "build_database"):
        assert not any(local in line for line in lines)


def test_mishaps_end_as_they_do_on_a_cluster(disturbed: Disturbed) -> None:
    assert disturbed.cancelled["Ended"] == "CANCELLED"
    assert disturbed.late["Ended"] == "TIMEOUT"
    assert disturbed.drained["JobState"] == "PENDING" and disturbed.drained["Ended"] == "COMPLETED"


def test_a_worker_ends_with_its_slurm_job(disturbed: Disturbed) -> None:
    workers = {note.worker for note in notes(disturbed.clone)}
    assert len(workers) == 3
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists() and is_worker(pid)] == []


def is_worker(pid: int) -> bool:
    return b"unchoke.machine.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_resumed_run_ends_in_the_bytes_of_a_local_run(disturbed: Disturbed, slurm: Slurm, tmp_path: Path) -> None:
    done = len(features_jobs(slurm))
    with on_slurm(disturbed.clone, slurm) as run:
        run.end(status=0)
    assert len(features_jobs(slurm)) - done == 2  # in the place of the one that was cancelled and of the late one
    assert len(notes(disturbed.clone)) == len(disturbed.notes_of_two) + 4 + 8
    local = make_clone(tmp_path / "local", **SECTIONS)
    local.snakemake(*TARGETS, "--cores", "2")
    assert_same_bytes(disturbed.clone, local)
