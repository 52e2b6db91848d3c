"""Snakemake's command line: targets where Snakemake takes them for targets, and processes that end as they should."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from snakemake.cli import parse_args

from unchoke.cli.launch import SNAKEFILE, call, snakemake_command

FLAGS = ["--resources", "gpu=1", "--cores", "2", "--dry-run"]


@pytest.mark.parametrize("flags", [[], FLAGS, ["--config", "a=1"], ["--forcerun", "x"]])
def test_targets_are_targets_whatever_flags_stand_behind_them(flags: list[str]) -> None:
    _, args = parse_args(snakemake_command(Path("my.yaml"), ["results/a b/x.zarr", "verify"], flags)[1:])
    assert set(args.targets) == {"results/a b/x.zarr", "verify"}
    assert [Path(file) for file in args.configfile] == [Path("my.yaml")]
    if flags == FLAGS:
        assert (args.cores, args.dryrun, args.resources["gpu"].value) == (2, True, 1)


def test_a_target_behind_resources_is_taken_for_one() -> None:
    """The trap that the order avoids; once Snakemake has none, targets may stand anywhere."""
    with pytest.raises(ValueError):
        parse_args(["--cores", "2", "--resources", "gpu=1", "verify"])
    assert list(parse_args(["--cores", "2", "--resources", "gpu=1", "--", "verify"])[1].targets) == ["verify"]


def test_the_snakefile_is_named_outside_of_a_clone_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SNAKEFILE.parents[1])
    assert "--snakefile" not in snakemake_command(Path("my.yaml"))
    monkeypatch.chdir(tmp_path)
    command = snakemake_command(Path("my.yaml"))
    assert command[command.index("--snakefile") + 1] == str(SNAKEFILE)


def test_snakemake_is_the_one_beside_this_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "snakemake"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert snakemake_command(Path("my.yaml"))[0] == str(Path(sys.executable).with_name("snakemake"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert snakemake_command(Path("my.yaml"))[0] == "snakemake"


def test_the_status_is_that_of_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert call(["sh", "-c", "echo to stdout; exit 3"]) == 3
    out, err = capfd.readouterr()
    assert (out, err) == ("", "sh -c 'echo to stdout; exit 3'\nto stdout\n")
    assert call(["sh", "-c", "kill -TERM $$"]) == 128 + signal.SIGTERM


def test_ctrl_c_is_answered_by_the_command_alone() -> None:
    """Both get the terminal's signal, as processes of one group; the command ends in its own time and way."""
    child = "trap 'sleep 0.6; exit 7' INT; echo ready; while :; do sleep 0.05; done"
    code = f"import sys; from unchoke.cli.launch import call; sys.exit(call(['sh', '-c', {child!r}]))"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, process_group=0) as process:
        assert process.stderr
        while "ready\n" not in process.stderr.readline():
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read()
    assert (process.returncode, rest) == (7, "")
