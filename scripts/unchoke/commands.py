"""What every command shares: an argument parser, and errors that end as a message and a status."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from unchoke.errors import UnchokeError
from unchoke.files import disk_error

T = TypeVar("T")


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that shows a command's docstring and the defaults of its flags."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter, allow_abbrev=False
    )


def find_own_python() -> None:
    """Put the folder of this Python first on the search path, for commands that are started by name."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def or_none(kind: Callable[[str], T]) -> Callable[[str], T | None]:
    """Type of a flag that a rule may fill with a null of the config."""
    return lambda text: None if text == "None" else kind(text)


def true_or_false(text: str) -> bool:
    """Type of a flag that a rule fills with a true or false of the config."""
    return {"True": True, "False": False}[text]


def run(main: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> int:
    """Exit status of ``main(argv)``: 0, or 1 with the message of an UnchokeError or a full disk on stderr."""
    try:
        main(argv)
    except UnchokeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        readable = disk_error(error, Path(error.filename or "."))
        if readable is error:
            raise
        print(f"error: {readable}", file=sys.stderr)
        return 1
    return 0
