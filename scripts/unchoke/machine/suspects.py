"""Pictures that end the process that decodes them, without an exception.

When the process of a command dies (a decoder crashed, the kernel ran out of memory), its client lives on. The process
reports its reading to the client in lines, and the client runs the command again:

    images           pictures are being read, by several threads; told once
    reading <name>   this picture alone is being read; in a careful run, which reads one after the other
    read             no picture is being read

If careful runs end twice at one picture, the next run treats it as unreadable. Only a living client decides this: a
killed run or machine leaves no mark on any picture. Names are in hexadecimal.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

REASON = "the process ended twice while this image was decoded"
CAREFUL = "careful"


class _Command:
    """The current command; in a process without a client, such as a notebook, it reports nothing."""

    def __init__(self, tell: Callable[[str], None] | None, care: str) -> None:
        self.tell = tell
        self.careful = care.startswith(CAREFUL)
        self.suspects = frozenset(map(_name, care.split()[1:]))


def _name(text: str) -> str:
    return bytes.fromhex(text).decode("utf-8", "surrogatepass")


_command = _Command(None, "")


def begin(tell: Callable[[str], None] | None, care: str = "") -> None:
    """A command begins. tell: sends a line to the client. care: empty, or ``careful`` and the names of suspects."""
    global _command
    _command = _Command(tell, care)


def is_careful() -> bool:
    """Whether to read pictures one at a time, because the process ended while it read several."""
    return _command.careful


@contextmanager
def in_flight(name: str) -> Iterator[None]:
    """Context for reading and decoding a picture; it encloses all use of the picture's bytes.

    name: of the picture, as the manifest has it. Raises errors.UnreadableImageError for one that has ended the
    process.
    """
    command = _command
    if not command.careful:
        if command.tell:
            tell, command.tell = command.tell, None
            tell("images")
        yield
        return
    if name in command.suspects:
        from unchoke.errors import UnreadableImageError

        raise UnreadableImageError(REASON)
    _tell(command, f"reading {name.encode('utf-8', 'surrogatepass').hex()}")
    try:
        yield
    finally:
        _tell(command, "read")


def _tell(command: _Command, line: str) -> None:
    if command.tell:
        command.tell(line)


@contextmanager
def reading_threads(count: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """A ``map`` over `count` threads; for 0, and in a careful run, Python's own, which reads one picture at a time."""
    if is_careful() or not count:
        yield map
        return
    with ThreadPoolExecutor(count) as pool:
        yield pool.map
