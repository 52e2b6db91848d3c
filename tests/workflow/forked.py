"""Snakemake in a fork of a process that has read its modules: each of many runs starts a second sooner."""

import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path

# What Snakemake reads before it reads our Snakefile, and nothing of ours.
MODULES = ["snakemake.cli", "smart_open", "pydantic", "pytest"]
TESTS = str(Path(__file__).parents[1])


def run_snakemake(arguments: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Status and output of ``python -m snakemake`` with these arguments, in this folder."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    with tempfile.TemporaryDirectory() as said:
        outputs = [Path(said, name) for name in ("stdout", "stderr")]
        run = context.Process(target=_become_snakemake, args=(arguments, folder, environment, outputs))
        run.start()
        run.join()
        assert run.exitcode is not None
        return run.exitcode, "".join(output.read_text(encoding="utf-8") for output in outputs)


def _become_snakemake(arguments: list[str], folder: Path, environment: dict[str, str], outputs: list[Path]) -> None:
    """All that a new process has of its own, and then its main module."""
    for stream, output in enumerate(outputs, start=1):
        os.dup2(os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND), stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = [str(folder), *(path for path in sys.path if not path.startswith(TESTS))]
    sys.argv = ["snakemake", *arguments]
    runpy.run_module("snakemake", run_name="__main__", alter_sys=True)
