"""Run one of our commands in the warm worker: ``scripts/warm COMMAND ARGUMENT…``, ``--status``, or ``--stop``.

``--load COMMAND`` lets the worker import a command's code in advance, and does not wait.

The client needs the standard library alone and ends with the command's own status. It starts the worker where there is
none. Ctrl-C or SIGTERM end the command with its worker. UNCHOKE_WARM=0, or ``--cold COMMAND``, runs the command in a
process of its own. If the process ends while it reads pictures, the client runs the command again. A picture that ends
it twice counts as unreadable; see the module ``suspects``.

If a worker does not answer at all, for example because it was stopped, a message names it after a few seconds. After
UNCHOKE_WARM_PATIENCE_S (120 s) a command that it has not taken runs in a process of its own. A busy worker answers, and
the client waits for it.

With UNCHOKE_CARDS=K, there is a worker for each of K graphics cards; the workflow sets K to its limit gpu=K. The
command goes to the first card without a client, or waits until one is free.
"""

# The C modules behind `signal` and `socket`, whose import would take 10 ms, as long as all the rest.
import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys

from unchoke.machine.connections import connect, reach, read_line, send
from unchoke.machine.sockets import RUN_NAME, log_path, socket_path, sockets
from unchoke.machine.turns import WAITING, cards_of_run, show, take_card
from unchoke.places import LIBRARIES, SCRIPTS

TRIES = 10  # more often than a client can meet workers that are just ending
NOTICE_S = 5  # until the client checks a worker that has not taken its command
LOOK_AFTER_S = 30  # the same after the command was taken, between two of its lines
ANSWER_S = 10  # for a worker's answer about itself


def main(arguments: list[str]) -> int:
    """Exit status of the command or of the request to the worker."""
    try:
        status = answer(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader has gone: end in silence, at exit too
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    return status


def answer(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if arguments else 2
    check_settings()
    if arguments[0] in ("--status", "--stop"):
        return control(arguments[0][2:])
    option = arguments[0] if arguments[0] in ("--load", "--cold") else ""
    arguments = arguments[bool(option) :] or [""]
    command, file = arguments[0], os.path.join(SCRIPTS, arguments[0] + ".py")
    if not command.isidentifier() or not os.path.isfile(file):
        known = sorted(name[:-3] for name in os.listdir(SCRIPTS) if name.endswith(".py"))
        print(f"error: there is no command '{command}'\n  known: {', '.join(known)}", file=sys.stderr)
        return 2
    if option == "--load":
        return load_code(command)
    _signal.signal(_signal.SIGTERM, _signal.default_int_handler)
    if option != "--cold":
        take_card(command)
        if os.environ.get("UNCHOKE_WARM") != "0":
            return work(arguments)
    return library("retries").run_cold(arguments)  # type: ignore[no-any-return]


def library(name: str):  # type: ignore[no-untyped-def]
    """A module that only rare cases need, and whose import would delay every command."""
    if LIBRARIES not in sys.path:
        sys.path.append(LIBRARIES)
    __import__(module := f"unchoke.machine.{name}")
    return sys.modules[module]


def check_settings() -> None:
    """End with a message if a variable of the environment has an impossible value."""
    for name in ("UNCHOKE_WARM_IDLE_S", "UNCHOKE_WARM_PATIENCE_S"):
        if text := os.environ.get(name):
            setting(name, text, float, "seconds, above 0")
    if text := os.environ.get("UNCHOKE_CARDS"):
        setting("UNCHOKE_CARDS", text, int, "a number of graphics cards, 1 or more")
    if (folder := os.environ.get("XDG_RUNTIME_DIR")) and not os.path.isabs(folder):
        refuse_setting("XDG_RUNTIME_DIR", folder, "the full path of a folder of your own")


def setting(name: str, text: str, kind: type, expected: str) -> None:
    try:
        if 0 < kind(text) < float("inf"):
            return
    except ValueError:
        pass
    refuse_setting(name, text, expected)


def refuse_setting(name: str, found: str, expected: str) -> None:
    raise SystemExit(
        f"error: The environment variable {name} cannot be used.\n  found:    {found!r}\n  expected: {expected}\n"
        f"  do:       correct it, or leave it out: unset {name}"
    )


def work(arguments: list[str]) -> int:
    """Exit status of the command, run by a worker."""
    status, last = run_warm(arguments, "")
    if status is not None:
        return status
    ended = f"the worker ended before the command did; its log: {log_path()}"
    return library("retries").run_again(arguments, run_warm, last, ended)  # type: ignore[no-any-return]


def run_warm(arguments: list[str], care: str) -> tuple[int | None, str]:
    """Status of the command, or None and the last line of a worker that has ended; see ``suspects``.

    A worker that ends before it takes the command is replaced.
    """
    command, *others = arguments
    for _ in range(TRIES):
        connection = connect()
        try:
            line = first_line(connection)  # received before we send our outputs, which a stopped worker would keep open
            if line:
                run = os.environ.get(RUN_NAME, "")
                send(connection, [command, os.getcwd(), str(os.getpid()), care, run, *others], outputs=[1, 2])
                line = first_line(connection)
        except (BrokenPipeError, ConnectionResetError):
            line = ""
        if line is None:
            connection.close()
            return library("retries").run_cold(arguments), ""
        if line == "taken":
            return follow(connection)
        connection.close()
    print(f"error: no worker took the command on; its log: {log_path()}", file=sys.stderr)
    return 1, ""


def first_line(connection: _socket.socket) -> str | None:
    """The worker's first line; empty where it has gone, None where it has been silent for too long.

    Before it the worker may say for whom this client waits, which is printed at once.
    """
    while True:
        connection.settimeout(NOTICE_S)
        try:
            line: str | None = read_line(connection)
        except TimeoutError:
            line = library("patience").await_turn(connection)
        if line is None or not line.startswith(WAITING):
            return line
        print(line, file=sys.stderr, flush=True)


def follow(connection: _socket.socket) -> tuple[int | None, str]:
    """The result of ``run_warm`` for a command that a worker has taken."""
    line, watch = "taken", None
    while True:
        connection.settimeout(LOOK_AFTER_S)
        last = line
        try:
            line = read_line(connection)
        except TimeoutError:
            watch = watch or library("patience").Watch(connection, LOOK_AFTER_S, waits=False)
            watch.look()
            continue
        except ConnectionResetError:
            return None, last
        if not line:
            return None, last
        if line.isdigit():
            return int(line), last


def load_code(command: str) -> int:
    """Start the run's workers, unless they are turned off, and let them import a command's code."""
    if os.environ.get("UNCHOKE_WARM") != "0":
        cards = cards_of_run()
        for card in cards:
            if len(cards) > 1:
                show(card)
            send(connect(), ["load", command], outputs=[])
    return 0


def control(word: str) -> int:
    """Ask running workers for their status, or to end: the workers of this run, else all of this clone."""
    paths = [socket_path(card) for card in cards_of_run()] if "UNCHOKE_CARDS" in os.environ else sockets()
    answers = [said for path in paths if (said := ask(path, word))]
    print("\n".join(answers) or "no worker")
    return 0


def ask(path: str, word: str) -> str:
    """The answer of the worker that listens at `path`; empty where there is none, or it is just ending."""
    connection = reach(path)
    if connection is None:
        return ""
    connection.settimeout(ANSWER_S)
    try:
        send(connection, [word], outputs=[])
        return read_line(connection) and read_line(connection)  # the line after `ready`
    except TimeoutError:
        return library("patience").silent(connection)  # type: ignore[no-any-return]
    except (BrokenPipeError, ConnectionResetError):
        return ""
