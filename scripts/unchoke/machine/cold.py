"""A command in a process of its own, watched by a client: ``scripts/unchoke/machine/cold.py DESCRIPTOR CARE COMMAND
ARG…``

The client reads the lines of ``suspects`` and the exit status from the descriptor. This process ends with the client.
"""

import contextlib
import os
import sys
import threading
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])  # where the library is

from unchoke.machine import suspects  # noqa: E402
from unchoke.machine.commands import run_by_name  # noqa: E402
from unchoke.places import SCRIPTS  # noqa: E402

sys.path.insert(0, SCRIPTS)  # where the commands are


def main() -> int:
    """Exit status of the command."""
    client, care, command, *arguments = sys.argv[1:]
    watched = int(client)
    os.set_inheritable(watched, False)
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()

    def tell(line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(watched, f"{line}\n".encode())

    tell("taken")
    suspects.begin(tell, care)
    status = run_by_name(command, arguments)
    tell(str(status))
    return status


def _end_with(client: int) -> None:
    """Wait until the client, which sends nothing, has gone; then end."""
    with contextlib.suppress(OSError):
        while os.read(client, 1):
            pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
