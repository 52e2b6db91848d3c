"""The default profile and the limits: a bare run is safe, whatever the command line leaves out."""

import subprocess
import sys

import pytest
from conftest import Clone, jobs

COUNT_PASSES = """
import sys
from snakemake.cli import main
from snakemake.scheduling.job_scheduler import JobScheduler
create, passes = JobScheduler.__init__, []
def counted(self, *arguments, **more):
    create(self, *arguments, **more)
    acquire = self._open_jobs.acquire
    started = lambda: sum("gpu" in job.rule.resources for job in self.running)
    self._open_jobs.acquire = lambda *a, **k: (passes.append(started()), acquire(*a, **k))[1]
JobScheduler.__init__ = counted
try:
    main(sys.argv[1:])
except SystemExit as end:
    print("status", end.code, "jobs of a card at once", max(passes), "passes", len(passes))
"""


def test_a_bare_run_has_one_card_and_the_budget(clone: Clone) -> None:
    output = clone.snakemake("results/few/manifest.csv")
    assert 'gpu=Resource("gpu", 1)' in output
    assert 'vram_mb=Resource("vram_mb", 4096)' in output
    assert "mem_mb=" in output


def test_a_limit_of_the_command_line_does_not_erase_the_others(clone: Clone) -> None:
    output = clone.snakemake("results/few/manifest.csv", "--resources", "mem_mb=9000")
    assert 'gpu=Resource("gpu", 1)' in output and 'mem_mb=Resource("mem_mb", 9000)' in output


def test_no_card_is_refused_before_any_job(clone: Clone) -> None:
    assert "gpu=0 would let all GPU jobs run side by side" in clone.snakemake("--resources", "gpu=0", ok=False)
    assert not (clone.folder / "results").exists()


def test_a_need_that_cannot_fit_is_refused_before_any_job(clone: Clone) -> None:
    output = clone.snakemake("--resources", "vram_mb=2048", ok=False)
    assert "extract_chunk" in output and "4096 MB" in output and "2048 MB" in output
    assert not (clone.folder / "results").exists()


def test_the_scheduler_passes_a_few_times_a_job_and_lets_one_wait(clone: Clone) -> None:
    """Snakemake's limit on jobs a second would make it thousands of passes; see the design."""
    clone.configure(chunk_size=1, heads={})
    output, at_once, passes = watched(clone, "--cores", "2")
    assert jobs(output, "extract_chunk") == 47
    assert passes < 5 * 47
    assert at_once == 2


def test_one_core_has_one_job_at_a_time(clone: Clone) -> None:
    clone.configure(heads={})
    assert watched(clone, "results/few/features/tiny.sealed.json", "--cores", "1")[1] == 1


def watched(clone: Clone, *arguments: str) -> tuple[str, int, int]:
    """What a run printed, the most jobs of a card that it had started at once, and its passes of the scheduler."""
    command = [sys.executable, "-c", COUNT_PASSES, *clone.command(*arguments)[3:]]
    done = subprocess.run(command, cwd=clone.folder, capture_output=True, text=True, env=clone.environment)
    output = done.stdout + done.stderr
    assert "status 0 " in done.stdout, output
    words = done.stdout.split()
    return output, int(words[-3]), int(words[-1])


@pytest.mark.xdist_group("run")
def test_other_cores_make_nothing_anew(finished: tuple[Clone, str]) -> None:
    assert "Nothing to be done" in finished[0].snakemake("-n", "--cores", "1")
