"""Commands that clients ask the warm worker for, and how one is run so that it prints to its client."""

import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from functools import partial

from unchoke.machine import suspects
from unchoke.machine.commands import SCRIPTS, run_by_name
from unchoke.machine.messages import Message


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
    arguments: list[str]
    dropped: bool = False
    """Whether the client has gone before its turn came."""

    def __str__(self) -> str:
        return f"{self.command} for pid {self.pid} in {self.folder}"


def request_of(message: Message, fields: list[str]) -> Request:
    """The command that a whole message asks for, with its descriptors; ValueError where there is none like it."""
    if len(fields) < 4:
        raise ValueError(f"a command with {len(fields)} fields, where name, folder, process and care were expected")
    command, folder, pid, care, *arguments = fields
    request = Request(message.connection, message.outputs, known_command(command), folder, pid, care, arguments)
    message.outputs = []
    return request


def known_command(name: str) -> str:
    """The name of ``scripts/<name>.py``; ValueError for all else, as nothing outside that folder is a command."""
    if name.isidentifier() and (SCRIPTS / f"{name}.py").is_file():
        return name
    raise ValueError(f"{name[:99]!r} is no command of {SCRIPTS}")


def run_command(request: Request) -> int:
    """Exit status of a command that prints to the client and works in its folder."""
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
    """Send a line to a client, which may have gone."""
    with contextlib.suppress(OSError):  # the other thread notices that the client has gone
        connection.sendall(f"{line}\n".encode())


def _print_to(outputs: list[int]) -> None:
    """Let stdout and stderr be `outputs`, which are closed: who reads them shall see their end."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # nobody reads it any more; what is left goes to the log
            stream.flush()
    for standard in (2, 1):
        output = outputs.pop()
        os.dup2(output, standard)
        os.close(output)
