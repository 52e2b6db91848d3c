"""Connections of clients to the worker, and their messages. If no worker runs, one is started."""

# The C module behind `socket`, whose import takes milliseconds. Also to save time: no `struct`, and `fcntl` late.
import _socket
import os
import sys

from unchoke.machine.sockets import RUN_NAME, log_path, open_lock, socket_path
from unchoke.places import SCRIPTS

INT_BYTES = 4  # bytes of a C int on every system with Unix sockets


def connect() -> _socket.socket:
    """A connection to the worker, after starting one if none runs."""
    path = socket_path()
    connection = reach(path)
    if connection is None:
        start_worker(path)
        connection = reach(path)
    if connection is None:
        raise SystemExit(f"error: the worker cannot be reached at {path}; its log: {log_path()}")
    return connection


def reach(path: str) -> _socket.socket | None:
    """A connection to the worker that listens at `path`; None where none does."""
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    except OSError as error:  # for example a link to itself
        raise SystemExit(f"error: {path} cannot be used: {error.strerror}\n  remove it") from None
    refuse_other_user(connection)
    return connection


def start_worker(path: str) -> None:
    """Start a worker that listens at `path`, unless another client has just done it.

    The socket listens before the worker runs. Early clients wait in its queue, and no client polls.
    """
    import fcntl

    lock = open_lock(path + ".lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        if probe.connect_ex(path) == 0:
            return
        probe.close()
        if os.path.lexists(path):
            os.unlink(path)
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(128)
        spawn(listener, path)
    finally:
        os.close(lock)


def spawn(listener: _socket.socket, path: str) -> None:
    """Start the worker process. It inherits only the socket and has its own session and log, no terminal, no pipe."""
    import subprocess

    try:
        os.makedirs(os.path.dirname(log_path()), exist_ok=True)
        log = os.open(log_path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise SystemExit(
            f"error: the worker's log {log_path()} cannot be written: {error.strerror}\n"
            "  set UNCHOKE_WARM_LOG to another file, or leave it out"
        ) from None
    subprocess.Popen(
        [sys.executable, "-m", "unchoke.machine.worker", str(listener.fileno()), path],
        cwd=SCRIPTS,
        env={
            name: value for name, value in os.environ.items() if name not in ("UNCHOKE_RUN", RUN_NAME)
        },  # it outlives both
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )


def refuse_other_user(connection: _socket.socket) -> None:
    if not hasattr(_socket, "SO_PEERCRED"):
        return  # macOS: the folder's permissions alone keep others out
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 3 * INT_BYTES)  # process, user, group
    if int.from_bytes(credentials[INT_BYTES : 2 * INT_BYTES], sys.byteorder) != os.getuid():
        raise SystemExit("error: the worker's socket belongs to another user")


def send(connection: _socket.socket, fields: list[str], outputs: list[int]) -> None:
    """A message: its length in four bytes, with outputs for the worker to print to, then fields with NUL between."""
    message = b"\0".join(map(os.fsencode, fields))
    descriptors = b"".join(output.to_bytes(INT_BYTES, sys.byteorder) for output in outputs)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)] if outputs else []
    connection.sendmsg([len(message).to_bytes(4, "big")], rights)
    connection.sendall(message)


def read_line(connection: _socket.socket) -> str:
    """A line without its end; empty where the worker has gone."""
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(1)
        if not part:
            return ""
        line += part
    return line[:-1].decode()
