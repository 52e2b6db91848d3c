"""Who has read figures of test, when, and by which command: ``readings.jsonl`` beside the results, which only grows.

A reading is one run of a command that shows figures of test, or computes them anew from a saved head: build_database,
print_leaderboard, draw_leaderboard, and evaluate_head on test. Training and
scoring count as no reading, nor do the figures of single heads and the page, which are made with the leaderboard.
What is read by SQL or in a notebook is not seen. So the count is a lower bound of the looks that people had.

The file is no input of any rule, and experiments.db has a copy of it. One line a reading:

    {"command": "print_leaderboard", "host": "lab3", "read_at": "2026-11-28T04:41:07.123456+00:00", "user": "anna"}
"""

import contextlib
import fcntl
import json
import os
import platform
import pwd
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Reading:
    """One reading of test; empty where a line of the file says nothing of it."""

    read_at: str
    """UTC, ISO 8601."""
    user: str
    host: str
    command: str


def count_reading(results: Path, command: str) -> None:
    """Append one line to the file in the dataset's folder `results`; where that fails, say that nothing is counted."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    reading = Reading(now, _user(), platform.node(), command)
    try:
        _append(_file(results), json.dumps(asdict(reading), sort_keys=True).encode() + b"\n")
    except OSError as error:
        print(f"note: this reading of test is not counted: {_file(results)}: {error.strerror}")


def _file(results: Path) -> Path:
    return results / "readings.jsonl"


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in containers
        return f"uid {os.getuid()}"


def _append(path: Path, line: bytes) -> None:
    """Write a line behind all others in one call, also where a full disk has cut the last one."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags, 0o666)
    try:
        with contextlib.suppress(OSError):  # not every file system has locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.lseek(handle, 0, os.SEEK_END)
        cut = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        os.write(handle, b"\n" + line if cut else line)
    finally:
        os.close(handle)


def read_readings(results: Path) -> list[Reading]:
    """All readings of the dataset's folder, in the order of the file; a damaged line counts as one that is unknown."""
    path = _file(results)
    if not path.is_file():
        return []
    return [_parsed(line) for line in path.read_text("utf-8", "replace").split("\n") if line.strip()]


def _parsed(line: str) -> Reading:
    try:
        facts = {str(name): str(value) for name, value in json.loads(line).items()}
        return Reading(**facts)
    except (ValueError, TypeError, AttributeError):
        return Reading("", "", "", f"unreadable line: {line[:80]}")


def readings_text(readings: Sequence[Reading]) -> str:
    """``test was read 2 times since 2026-11-28 by 1 user (print_leaderboard 2)``; empty where it never was."""
    if not readings:
        return ""
    since = min((reading.read_at for reading in readings if reading.read_at), default="an unknown day")
    times = _several(len(readings), "time")
    users = _several(len({reading.user for reading in readings if reading.user}), "user")
    commands = Counter(reading.command.partition(":")[0] for reading in readings)
    each = ", ".join(f"{command} {count}" for command, count in sorted(commands.items()))
    return f"test was read {times} since {since.partition('T')[0]} by {users} ({each})"


def _several(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
