"""Retries of a command whose process ended while it read pictures. The standard library only.

The first time, several threads read pictures, and any picture may have ended the process. So the client runs the
command in the careful mode of ``suspects``: one picture at a time, each named before it is read. If the process ends
twice at the same picture, the next run gets it as a suspect and treats it as unreadable. If no picture was being read
when the process ended, there is no retry.
"""

import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

CAREFUL = "careful"  # repeats the word of ``suspects``, which is too slow to import here
DEATHS_A_PICTURE = 2
MOST_DEATHS = 5  # the first one, two at one picture, and two by chance
MOST_SUSPECTS = 16  # more suspects point to the machine

Attempt = Callable[[list[str], str], "tuple[int | None, str]"]
"""Runs a command in a mode; gives its status, or None and the last line of its process."""


def run_again(arguments: list[str], attempt: Attempt, last: str, ended: str) -> int:
    """Run a command again whose process ended after the line `last`; its status. ended: message if retries fail."""
    care, deaths, seen = [CAREFUL], 1, Counter[str]()
    while last.startswith(("images", "reading ")) and deaths < MOST_DEATHS and len(care) <= MOST_SUSPECTS:
        _say("the process ended while it read images; the command runs again, one image after the other")
        status, last = attempt(arguments, " ".join(care))
        if status is not None:
            return status
        deaths += 1
        name = last.partition(" ")[2]
        seen[name] += 1
        if name and seen[name] == DEATHS_A_PICTURE:
            _say(f"the process ended twice while it read {_shown(name)}, which counts as unreadable")
            care.append(name)
            deaths = 0
    _say(f"error: {ended}")
    return 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _shown(name: str) -> str:
    return repr(bytes.fromhex(name).decode("utf-8", "replace"))


def run_cold(arguments: list[str]) -> int:
    """Status of a command in a process of its own."""
    status, last = attempt_cold(arguments, "")
    if status is not None:
        return status
    return run_again(arguments, attempt_cold, last, "a signal ended the process before the command was done")


def attempt_cold(arguments: list[str], care: str) -> "tuple[int | None, str]":
    """An ``Attempt`` in a process of its own, which ends with this one."""
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    file = Path(__file__).resolve().with_name("cold.py")
    command = [sys.executable, str(file), str(theirs.fileno()), care, *arguments]
    child = os.posix_spawn(sys.executable, command, os.environ)
    theirs.close()
    try:
        said, last = _listen(ours)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    if said is None and code >= 0:  # the process ended by itself, with a message
        return code, last
    return said, last


def _listen(connection: socket.socket) -> "tuple[int | None, str]":
    """Status and last line that a process sends before it ends."""
    status, last = None, "taken"
    with connection, connection.makefile(encoding="ascii") as lines:
        for line in map(str.strip, lines):
            if line.isdigit():
                status = int(line)
            else:
                last = line
    return status, last
