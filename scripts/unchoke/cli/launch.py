"""Snakemake's command line for a config: built, printed to be copied, and run."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from unchoke import places

SNAKEFILE = Path(places.SNAKEFILE)
_SIGNALLED = 128  # the shells' convention: 128 plus the number of the signal


def snakemake_command(config: Path, targets: Sequence[str] = (), flags: Sequence[str] = ()) -> list[str]:
    """Snakemake with these targets and flags.

    Targets stand first: behind ``--configfile``, ``--resources`` and other flags with several values Snakemake takes
    them for one more value.
    """
    return [_snakemake(), *targets, *_where(), "--configfile", str(config), *flags]


def _snakemake() -> str:
    """By its name where a shell would find the one beside this Python, else by its path."""
    own = Path(sys.executable).with_name("snakemake")
    found = shutil.which("snakemake")
    return "snakemake" if found and os.path.realpath(found) == os.path.realpath(own) else str(own)


def _where() -> list[str]:
    """The flag that names the Snakefile, which Snakemake finds without it in a clone alone."""
    here = Path("workflow", "Snakefile")
    return [] if here.exists() and here.samefile(SNAKEFILE) else ["--snakefile", str(SNAKEFILE)]


def show(command: Sequence[str]) -> None:
    """Print a command to stderr as a shell takes it."""
    print(shlex.join(command), file=sys.stderr, flush=True)


def become(command: Sequence[str]) -> NoReturn:
    """Print a command, and go on as it: Ctrl-C and the exit status are the command's own."""
    show(command)
    sys.stdout.flush()
    os.execvp(command[0], list(command))


def call(command: Sequence[str]) -> int:
    """Print a command, run it with its output on stderr, and return its status; it alone answers Ctrl-C."""
    show(command)
    before = signal.signal(signal.SIGINT, lambda *_: None)  # a function, unlike SIG_IGN, is not handed on to the child
    try:
        status = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    return status if status >= 0 else _SIGNALLED - status
