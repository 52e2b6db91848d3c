"""How a client handles a worker that keeps it waiting. Imported only then; the standard library only.

A thread of the worker answers questions while a command runs, so a busy worker reports its command. A silent worker was
stopped, or waits in the kernel (a driver, a network file system).
"""

import math
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path

from unchoke.machine.turns import WAITING

QUESTION = struct.pack("!I", 6) + b"status"
ASK_EVERY_S = 10.0
SILENT_S = 3.0  # without an answer
BUSY_NOTICE_S = 60.0  # shorter waits for other jobs are normal
DEFAULT_PATIENCE_S = 120.0
_STATES = {"T": "stopped", "t": "stopped by a debugger", "D": "waiting for a device or a file system", "Z": "ended"}


def pid_of(connection: socket.socket) -> int:
    """Process id of the worker behind a connection; 0 where the system does not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])


def name_of(connection: socket.socket) -> str:
    """The worker behind a connection, with the state of its process."""
    pid = pid_of(connection)
    try:
        state = _STATES.get(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0], "")
    except (OSError, IndexError):
        state = ""
    return (f"the worker, pid {pid}" if pid else "the worker") + (f" ({state})" if state else "")


def silent(connection: socket.socket) -> str:
    """Message for ``--status`` and ``--stop``: the worker does not answer, and what to do."""
    pid = pid_of(connection) or "PID"
    return f"{name_of(connection)}, does not answer; `kill -CONT {pid}` lets it go on, `kill -KILL {pid}` ends it"


class Watch:
    """Asks a worker that keeps a client waiting for its state at intervals, and prints each finding once to stderr.

    waited_s: time already waited. waits: False where the worker runs this client's own command.
    """

    def __init__(self, connection: socket.socket, waited_s: float, *, waits: bool = True) -> None:
        self.connection, self.waits = connection, waits
        self.began = self.heard = time.monotonic() - waited_s
        self.since = time.strftime("%F %T", time.localtime(time.time() - waited_s))
        self.question: socket.socket | None = None
        self.asked = -math.inf
        self.told = ""

    @property
    def silent_s(self) -> float:
        """Seconds since the worker's last answer."""
        return time.monotonic() - self.heard

    def look(self, seconds: float = 5.0) -> bool:
        """Ask if a question is due, then wait up to `seconds`; True when a line of the command has come."""
        self._ask()
        places = [self.connection, *([self.question] if self.question else [])]
        readable = select.select(places, [], [], seconds)[0]
        if self.question in readable:
            self._hear()
        elif not readable and self.asked > self.heard and time.monotonic() - self.asked > SILENT_S:
            self._tell("silent", f"{WAITING}for {name_of(self.connection)}, since {self.since}: it does not answer")
        return self.connection in readable

    def _ask(self) -> None:
        if self.question or time.monotonic() - self.asked < ASK_EVERY_S:
            return
        self.asked = time.monotonic()
        question = socket.socket(socket.AF_UNIX)
        question.settimeout(1.0)
        try:
            question.connect(self.connection.getpeername())
            question.sendall(QUESTION)
        except OSError:  # the worker's queue is full, or it has just ended
            question.close()
            return
        self.question = question

    def _hear(self) -> None:
        assert self.question
        try:
            state = self.question.recv(4096).decode(errors="replace").strip().rpartition("\n")[2]
        except OSError:
            state = ""
        self.question.close()
        self.question, self.heard = None, time.monotonic()
        if self.told == "silent":
            self._tell("answers", f"{name_of(self.connection)}, answers again")
        if self.waits and state not in ("", "ready") and self.heard - self.began > BUSY_NOTICE_S:
            self._tell("busy", f"{WAITING}for the worker, since {self.since}: {state}")

    def _tell(self, what: str, text: str) -> None:
        if self.told != what:
            self.told = what
            print(text, file=sys.stderr, flush=True)


def await_turn(connection: socket.socket, waited_s: float = 5.0) -> str | None:
    """Wait for the first line of a slow worker; None where it has been silent for too long."""
    from unchoke.machine.connections import read_line

    patience_s = float(os.environ.get("UNCHOKE_WARM_PATIENCE_S") or DEFAULT_PATIENCE_S)
    watch = Watch(connection, waited_s)
    connection.settimeout(None)
    while not watch.look(1.0):
        if watch.told == "silent" and watch.silent_s > patience_s:
            print(f"after {watch.silent_s:.0f} s the command runs without the worker", file=sys.stderr, flush=True)
            return None
    return read_line(connection)
