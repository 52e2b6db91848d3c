"""Requests of clients to the warm worker: a command runs in it and prints to its client."""

import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unchoke.machine import suspects
from unchoke.machine.commands import run_by_name
from unchoke.machine.messages import Message
from unchoke.places import SCRIPTS


@dataclass(eq=False)
class Request:
    """A command that a client waits for."""

    connection: socket.socket
    outputs: list[int]
    """The client's stdout and stderr."""
    command: str
    folder: str
    pid: str
    care: str
    """As ``suspects.begin`` takes it."""
    run: str
    """Dataset, config and process of its Snakemake; empty of a command that no run has started."""
    arguments: list[str]
    dropped: bool = False
    """Whether the client has gone before its turn."""
    told: bool = False
    """Whether the client knows for whom it waits."""

    def __str__(self) -> str:
        return f"{self.command}{f' of {self.run}' if self.run else ''} for pid {self.pid} in {self.folder}"

    def waits_for_another(self, current: "Request") -> bool:
        """Whether `current`, which runs, is of another run, for which its client does not know yet that it waits."""
        return not (self.told or self.dropped) and (not self.run or self.run != current.run)


def request_of(message: Message, fields: list[str]) -> Request:
    """The request in a whole message, with its descriptors; ValueError for an unknown command."""
    if len(fields) < 5:
        raise ValueError(
            f"a command with {len(fields)} fields, where name, folder, process, care and run were expected"
        )
    command, folder, pid, care, run, *arguments = fields
    request = Request(message.connection, message.outputs, known_command(command), folder, pid, care, run, arguments)
    message.outputs = []
    return request


def known_command(name: str) -> str:
    """`name`, if ``scripts/<name>.py`` exists; else ValueError, so that only files of that folder are run."""
    if name.isidentifier() and Path(SCRIPTS, f"{name}.py").is_file():
        return name
    raise ValueError(f"{name[:99]!r} is no command of {SCRIPTS}")


def run_command(request: Request) -> int:
    """Run a command that prints to the client, in the client's folder; its exit status."""
    kept = [os.dup(1), os.dup(2)]
    try:
        _print_to(request.outputs)
        suspects.begin(partial(tell, request.connection), request.care)
        os.chdir(request.folder)
        return run_by_name(request.command, request.arguments)
    except OSError as error:
        with contextlib.suppress(OSError):
            print(f"error: the folder cannot be entered: {error}", file=sys.stderr)
        return 1
    finally:
        os.chdir(SCRIPTS)
        suspects.begin(None)
        _print_to(kept)


def tell(connection: socket.socket, line: str) -> None:
    """Send a line to a client, even if it may have gone."""
    with contextlib.suppress(OSError):  # the other thread handles a client that has gone
        connection.sendall(f"{line}\n".encode())


def _print_to(outputs: list[int]) -> None:
    """Redirect stdout and stderr to `outputs`, then close these, so that their readers see the end."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # the reader has gone; the rest goes to the log
            stream.flush()
    for standard in (2, 1):
        output = outputs.pop()
        os.dup2(output, standard)
        os.close(output)
