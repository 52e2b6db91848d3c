"""Run one of our commands in the warm worker: ``scripts/warm COMMAND ARGUMENT…``, ``--status``, or ``--stop``.

``--load COMMAND`` has the worker read a command's code while other things happen, and does not wait.

The client needs the standard library alone and ends with the command's own status. It starts the worker where there is
none. Ctrl-C or SIGTERM end the command with its worker. UNCHOKE_WARM=0 runs the command in a process of its own.
"""

# Behind `socket`, `signal` and `hashlib`, which would take 10 ms to import: as long as all the rest.
import _signal  # type: ignore[import-not-found]
import _socket
import fcntl
import os
import struct
import sys
from _blake2 import blake2b

SCRIPTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
TRIES = 10  # a worker that is just ending is met once or twice, never this often
LONGEST_PATH = 103  # bytes of a socket's name on macOS; Linux has 107


def main(arguments: list[str]) -> int:
    """Status of the command, or of what was asked of the worker."""
    try:
        return answer(arguments)
    except KeyboardInterrupt:
        return 130


def answer(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if arguments else 2
    if arguments[0] in ("--status", "--stop"):
        return control(arguments[0][2:])
    load = arguments[0] == "--load"
    arguments = arguments[load:] or [""]
    command, file = arguments[0], os.path.join(SCRIPTS, arguments[0] + ".py")
    if not command.isidentifier() or not os.path.isfile(file):
        known = sorted(name[:-3] for name in os.listdir(SCRIPTS) if name.endswith(".py"))
        print(f"error: there is no command '{command}'\n  known: {', '.join(known)}", file=sys.stderr)
        return 2
    if load:
        return load_code(command)
    if os.environ.get("UNCHOKE_WARM") == "0":
        os.execv(sys.executable, [sys.executable, file, *arguments[1:]])
    return work([command, os.getcwd(), str(os.getpid()), *arguments[1:]])


def work(fields: list[str]) -> int:
    """Status of the command, from a worker that has taken it on; one that ends before it does is replaced."""
    _signal.signal(_signal.SIGTERM, _signal.default_int_handler)
    for _ in range(TRIES):
        connection = connect()
        try:
            send(connection, fields, outputs=[1, 2])
            if read_line(connection) == "taken":
                if status := read_line(connection):
                    return int(status)
                print(f"error: the worker ended before the command did; its log: {log_path()}", file=sys.stderr)
                return 1
        except (BrokenPipeError, ConnectionResetError):
            pass
        connection.close()
    print(f"error: no worker took the command on; its log: {log_path()}", file=sys.stderr)
    return 1


def load_code(command: str) -> int:
    """Start the worker, where there is to be one, and let it read a command's code."""
    if os.environ.get("UNCHOKE_WARM") != "0":
        send(connect(), ["load", command], outputs=[])
    return 0


def send(connection: _socket.socket, fields: list[str], outputs: list[int]) -> None:
    """A message: its length in four bytes, with outputs for the worker to print to, then fields with NUL between."""
    message = b"\0".join(map(os.fsencode, fields))
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(outputs)}i", *outputs))] if outputs else []
    connection.sendmsg([struct.pack("!I", len(message))], rights)
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


def control(word: str) -> int:
    """Ask the worker, if there is one, for its status or its end."""
    connection = reach(socket_path())
    if connection is None:
        print("no worker")
        return 0
    send(connection, [word], outputs=[])
    print(read_line(connection) or "no worker")
    return 0


def connect() -> _socket.socket:
    """A connection to the worker, which is started where there is none."""
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
    refuse_other_user(connection)
    return connection


def start_worker(path: str) -> None:
    """Start a worker that listens at `path`, unless another client has just done it.

    The socket listens before the worker runs: who connects early waits in its queue, and nobody polls.
    """
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        probe = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        if probe.connect_ex(path) == 0:
            return
        probe.close()
        if os.path.exists(path):
            os.unlink(path)
        listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(128)
        spawn(listener, path)


def spawn(listener: _socket.socket, path: str) -> None:
    """The worker, with nothing of ours but the socket: its own session, no terminal, no pipe, its own log."""
    import subprocess

    os.makedirs(os.path.dirname(log_path()), exist_ok=True)
    log = os.open(log_path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    subprocess.Popen(
        [sys.executable, "-m", "unchoke.worker", str(listener.fileno()), path],
        cwd=SCRIPTS,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )


def socket_path() -> str:
    """One socket for each Python, folder of commands, choice of cards and Slurm job; in a folder of our own."""
    folder = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or "/tmp", f"unchoke-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    state = os.lstat(folder)
    if state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise SystemExit(f"error: {folder} must be a folder that only you can read: remove it or its permissions")
    places = [os.stat(place) for place in (SCRIPTS, sys.executable)]
    keys = [f"{place.st_dev}.{place.st_ino}" for place in places]
    keys.append(os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0])
    name, job = blake2b(" ".join(keys).encode(), digest_size=8).hexdigest(), os.environ.get("SLURM_JOB_ID", "")
    path = os.path.join(folder, f"{name}-job{job}" if job else name)
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SystemExit(
            f"error: {path} is too long for a socket: {len(path)} characters, at most {LONGEST_PATH}\n"
            "  set XDG_RUNTIME_DIR to a folder with a shorter name"
        )
    return path


def log_path() -> str:
    return os.path.abspath(os.environ.get("UNCHOKE_WARM_LOG") or socket_path() + ".log")


def refuse_other_user(connection: _socket.socket) -> None:
    if not hasattr(_socket, "SO_PEERCRED"):
        return  # macOS: the folder's permissions alone keep others out
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, struct.calcsize("3i"))
    if struct.unpack("3i", credentials)[1] != os.getuid():
        raise SystemExit("error: the worker's socket belongs to another user")
