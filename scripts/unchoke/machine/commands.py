"""Shared by all commands: the argument parser, and the turning of errors into a message and an exit status."""

import argparse
import contextlib
import importlib
import os
import resource
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from unchoke.errors import UnchokeError
from unchoke.files import disk_error
from unchoke.machine.receipts import FLAG, receipt_kept
from unchoke.places import SCRIPTS

T = TypeVar("T")
INTERRUPTED, NOBODY_READS = 130, 141  # the shells' convention: 128 plus the number of the signal
# Messages of the dynamic loader and the C library when a library finds no memory.
_NO_MEMORY = ("failed to map segment", "cannot allocate memory", "cannot map", "out of memory")
_OTHER_MEMORY = "static tls"  # a full table in the loader, which more memory does not help


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that shows a command's docstring and the defaults of its flags; ``run`` reads its --receipt."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(FLAG, type=Path, help="JSON file to write the digests of all files to that are written")
    return parser


def find_own_commands(beside: Path) -> None:
    """Tell the shell texts of rules where commands are (UNCHOKE_SCRIPTS), and put this Python first on the search path.

    beside: the folder of commands beside the Snakefile. Rules read from elsewhere have none: the installed ones.
    Its environment need not be activated. A variable, since the names of a Snakefile are unknown where it is a module.
    """
    os.environ["UNCHOKE_SCRIPTS"] = str(beside) if beside.is_dir() else SCRIPTS
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def or_none(kind: Callable[[str], T]) -> Callable[[str], T | None]:
    """Type of a flag that a rule may fill with a null of the config."""
    return lambda text: None if text == "None" else kind(text)


def true_or_false(text: str) -> bool:
    """Type of a flag that a rule fills with a true or false of the config."""
    return {"True": True, "False": False}[text]


def run(main: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> int:
    """Exit status of ``main(argv)``: 0, or the status of the error. An error that a user can mend is printed to stderr.

    1 for an UnchokeError, a full disk or no memory; 130 for Ctrl-C; 141, in silence, for a closed output.
    """
    try:
        with receipt_kept(sys.argv[1:] if argv is None else argv):
            main(argv)
        sys.stdout.flush()
    except UnchokeError as error:
        return _report(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except MemoryError as error:
        return _report(str(no_memory(error)))
    except BrokenPipeError:
        _discard_output()
        return NOBODY_READS
    except OSError as error:
        readable = disk_error(error, Path(error.filename or "."))
        if readable is error:
            raise
        return _report(str(readable))
    return 0


def _report(text: str) -> int:
    with contextlib.suppress(OSError):  # stderr is closed
        print(f"error: {text}", file=sys.stderr)
    return 1


def _discard_output() -> None:
    """Redirect stdout to /dev/null, so that a later flush does not fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def no_memory(error: BaseException) -> UnchokeError:
    """The error for memory that the system refuses, for example under ``ulimit -v``."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    limit = "no limit is set" if soft == resource.RLIM_INFINITY else f"the limit (ulimit -v) is {soft // 2**20} MB"
    return UnchokeError(
        "The system gives this process no more memory.",
        found=f"{' '.join(str(error).split()) or type(error).__name__}; {limit}",
        expected="room for torch and its libraries, about 10 GB of address space, and for the work itself",
        do="raise or remove the limit (ulimit -v unlimited), end other processes, or take smaller images or chunks",
    )


def run_by_name(command: str, arguments: Sequence[str]) -> int:
    """Import ``scripts/<command>.py``, run it and return its exit status; print any exception."""
    sys.argv = [f"{SCRIPTS}/{command}.py", *arguments]
    try:
        return run(_main_of(command), arguments)
    except SystemExit as end:  # argparse
        return end.code if isinstance(end.code, int) else 1
    except UnchokeError as error:
        return _report(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException:
        with contextlib.suppress(OSError):
            traceback.print_exc()
        return 1


def _main_of(command: str) -> Callable[[Sequence[str] | None], None]:
    """The main function of a command; UnchokeError if there is too little memory to import its libraries."""
    try:
        return importlib.import_module(command).main  # type: ignore[no-any-return]
    except (ImportError, OSError, MemoryError) as error:
        said = str(error).lower()
        if isinstance(error, MemoryError) or (_OTHER_MEMORY not in said and any(text in said for text in _NO_MEMORY)):
            raise no_memory(error) from error
        raise
