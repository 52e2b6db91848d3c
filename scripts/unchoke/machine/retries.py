"""A client has a command run again whose process ended while it read pictures. The standard library only.

The first time, pictures were read by several threads, and any of them may have ended the process. So the command is
run in the careful way of ``suspects``: one picture after the other, each named before it is touched. A picture that was
being read alone when the process ended, twice, is given to the next run as a suspect, which takes it as unreadable.
Where the process ends and no picture is being read, pictures are not the reason, and nothing is run again.
"""

import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

CAREFUL = "careful"  # as ``suspects`` has it, which imports more than a client may
DEATHS_A_PICTURE = 2
MOST_DEATHS = 5  # until a picture is found: the first one, one picture's two, and two by chance
MOST_SUSPECTS = 16  # more of them speak against the machine

Attempt = Callable[[list[str], str], "tuple[int | None, str]"]
"""Status of a command that is run with some care; or None, and the last line that its process said."""


def run_again(arguments: list[str], attempt: Attempt, last: str, ended: str) -> int:
    """Status of a command whose process has ended, with `last` as its last line. ended: said where nothing helps."""
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
    if said is None and code >= 0:  # it ended itself, with a message
        return code, last
    return said, last


def _listen(connection: socket.socket) -> "tuple[int | None, str]":
    """Status and last line, as a process tells them until it ends."""
    status, last = None, "taken"
    with connection, connection.makefile(encoding="ascii") as lines:
        for line in map(str.strip, lines):
            if line.isdigit():
                status = int(line)
            else:
                last = line
    return status, last
