"""What a user sees of a run: a few lines in a pipe, a live area on a terminal, and one end of four."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from conftest import Clone
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase

from snakemake_logger_plugin_unchoke import LogHandler

COLUMNS = 100
SNAKEMAKES = ("Select jobs", "Execute", "Finished jobid", "Building DAG", "steps (", "Error in rule", "Traceback")


class TestContract(TestLogHandlerBase):
    """The tests of Snakemake's own interface."""

    __test__ = True

    def get_log_handler_cls(self) -> type[LogHandler]:
        return LogHandler

    def get_log_handler_settings(self) -> LogHandlerSettingsBase:
        return LogHandlerSettingsBase()


def command(*arguments: str) -> list[str]:
    """As users type it, with the default profile."""
    return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", "my.yaml"]


def told(clone: Clone, *arguments: str) -> tuple[int, list[str]]:
    """Status of a run in a pipe, and its lines but that of Snakemake on its profile."""
    pipe = subprocess.PIPE
    done = subprocess.run(
        command(*arguments), cwd=clone.folder, env=clone.environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
    )
    assert not [text for text in SNAKEMAKES if text in done.stdout], done.stdout
    return done.returncode, done.stdout.splitlines()[1:]


def on_terminal(clone: Clone, *arguments: str) -> str:
    """All that a run writes to a terminal of COLUMNS columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, COLUMNS, 0, 0))
    environment = {**clone.environment, "TERM": "xterm-256color"}
    run = subprocess.Popen(command(*arguments), cwd=clone.folder, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:  # Linux: the other end is closed
        pass
    os.close(ours)
    assert run.wait() == 0, written.decode()
    return written.decode()


def test_a_terminal_shows_a_live_area_and_then_the_summary(rerun: Clone) -> None:
    (rerun.results / "features/tiny.zarr/avg/c/1/0").unlink()
    text = on_terminal(rerun)
    drawn = [line for line in re.split(r"[\r\n]+|\x1b\[\d*[A-Z]", text) if " · few · " in line or "few · " in line]
    assert len(drawn) > 2, text
    plain = [re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", line) for line in re.split(r"[\r\n]+", text)]
    assert max(len(line) for line in plain if "jobs ·" in line) <= COLUMNS
    assert not [words for words in SNAKEMAKES if words in text]
    end = plain[next(place for place, line in enumerate(plain) if line.startswith("few is done")) :]
    heads = [line.split()[1] for line in end if line.startswith("  tiny ")]
    assert heads == ["logistic", "neighbours"]
    assert any(line.startswith("  always 0: chance") for line in end)
    assert "  images  47: 46 used, 0 left out, 1 quarantined, see results/few/quarantine.csv" in end
    assert "          unchoke verify -c my.yaml" in end


def test_a_pipe_gets_a_line_a_stage_and_one_where_nothing_is_due(rerun: Clone) -> None:
    chunk = "results/few/features/tiny.zarr/avg/c/1/0"
    (rerun.folder / chunk).unlink()
    status, lines = told(rerun, chunk)
    assert status == 0 and not any("\x1b" in line for line in lines)
    *_, end, done, time_line = lines
    assert len(lines) <= 4  # one more where the stage took long
    assert end.startswith("✓ encoding             16 images · 1 job · ") and end.endswith(" images/s")
    assert done == f"done: {chunk}" and time_line.startswith("  time    ")
    log = max((rerun.folder / ".snakemake/log").glob("*.snakemake.log"), key=os.path.getmtime).read_text()
    assert "1 of 1 steps (100%) done" in log
    assert told(rerun, chunk) == (0, [f"Nothing to do: {chunk} is up to date."])


@pytest.mark.parametrize("files, said", [([], True), (["my.yaml"], False)])
def test_a_dry_run_without_a_config_says_that_it_is_the_demo(
    files: list[str], said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: Any = SimpleNamespace(
        dryrun=True, stdout=True, quiet=None, verbose=False, debug_dag=False, printshellcmds=False
    )
    workflow = SimpleNamespace(config_settings=SimpleNamespace(configfiles=files))
    LogHandler(settings, None).begin(workflow, {"dataset": {"kind": "digits"}}, Path())
    assert ("this is the demo" in capsys.readouterr().out) == said


def test_a_failed_run_ends_with_the_job_the_reason_the_log_and_the_way_on(rerun: Clone) -> None:
    config = yaml.safe_load((rerun.folder / "my.yaml").read_text())
    rerun.configure(dataset={**config["dataset"], "max_bad_share": 0.0})
    status, lines = told(rerun, "results/few/quarantine/tiny.json")
    assert status == 1
    assert lines[:-1] == [
        "error: sealing and checking failed: check_quarantine tiny",
        "  Too many images cannot be used.",
        "    found:    1 of 47 (2.1%); 1 × broken image: image file is truncated",
        "    expected: at most 0.0% (dataset.max_bad_share)",
        "    where:    results/few/quarantine/tiny.csv",
        "    do:       mend the files listed there and run again, or raise dataset.max_bad_share",
        "  log:      logs/few/check_quarantine/tiny.log",
    ]
    assert "the same command goes on" in lines[-1]


def test_ctrl_c_says_what_is_done_and_that_the_same_command_goes_on(rerun: Clone) -> None:
    for file in ("avg/c/1/0", "valid/c/1"):
        (rerun.results / "features/tiny.zarr" / file).unlink()
    log = rerun.folder / "logs/few/extract_chunk/tiny/1.log"
    log.unlink(missing_ok=True)
    slow = {**rerun.environment, "UNCHOKE_WARM": "0"}  # the job reads torch itself, for seconds
    pipe = subprocess.PIPE
    run = subprocess.Popen(
        command(),
        cwd=rerun.folder,
        env=slow,
        stdout=pipe,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # tests in the background have it ignored
    )
    deadline = time.monotonic() + 120
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does
    output, _ = run.communicate(timeout=60)
    assert run.returncode != 0
    assert output.splitlines()[-1] == "stopped; the same command goes on: 2 of 3 chunks are done", output
    assert "error" not in output and not [text for text in SNAKEMAKES if text in output]


@pytest.mark.parametrize(
    ("flags", "first"),
    [
        (["nothing/of/this/name"], "error: There is nothing of this name to make."),
        (["--configfile", "absent.yaml"], "error: No such file or directory."),
        (["--resources", "gpu"], "error: --resources needs a name and a number each."),
    ],
)
def test_what_a_user_types_wrong_is_said_without_frames(
    finished: tuple[Clone, str], flags: list[str], first: str
) -> None:
    words = [sys.executable, "-m", "snakemake", *flags, "--cores", "1"]
    where, snakefile = finished[0].folder, ["--snakefile", str(Path("workflow/Snakefile"))]
    done = subprocess.run([*words, *snakefile], cwd=where, env=finished[0].environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert first in done.stderr.splitlines() and 'File "' not in done.stderr
