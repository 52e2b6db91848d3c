"""Run one of our commands in the warm worker: ``scripts/warm COMMAND ARGUMENT…``, ``--status``, or ``--stop``.

``--load COMMAND`` has the worker read a command's code while other things happen, and does not wait.

The client needs the standard library alone and ends with the command's own status. It starts the worker where there is
none. Ctrl-C or SIGTERM end the command with its worker. UNCHOKE_WARM=0 runs the command in a process of its own.

With UNCHOKE_CARDS=K, which the workflow sets to its limit gpu=K, there is a worker for each of K graphics cards: the
command goes to the first card that no other client has, and waits where all are taken.
"""

# Behind `socket`, `signal` and `hashlib`, which would take 10 ms to import: as long as all the rest.
import _signal  # type: ignore[import-not-found]
import _socket
import fcntl
import os
import struct
import sys
import time
from _blake2 import blake2b

SCRIPTS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
TRIES = 10  # a worker that is just ending is met once or twice, never this often
LONGEST_PATH = 103  # bytes of a socket's name on macOS; Linux has 107
POLL_S = 0.005  # by the one client whose turn it is, while all cards are taken


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
    _signal.signal(_signal.SIGTERM, _signal.default_int_handler)
    take_card()
    if os.environ.get("UNCHOKE_WARM") == "0":
        os.execv(sys.executable, [sys.executable, file, *arguments[1:]])
    return work([command, os.getcwd(), str(os.getpid()), *arguments[1:]])


def work(fields: list[str]) -> int:
    """Status of the command, from a worker that has taken it on; one that ends before it does is replaced."""
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
    """Start the run's workers, where there are to be any, and let them read a command's code."""
    if os.environ.get("UNCHOKE_WARM") != "0":
        cards = cards_of_run()
        for card in cards:
            if len(cards) > 1:
                show(card)
            send(connect(), ["load", command], outputs=[])
    return 0


def cards_of_run() -> list[str]:
    """The cards that the run may use, as CUDA_VISIBLE_DEVICES names them; one empty name where it names none."""
    count, visible = int(os.environ.get("UNCHOKE_CARDS") or 1), os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(card) for card in range(count)] if count > 1 else [""]
    return visible.split(",")[:count]


def take_card() -> None:
    """Have a card of several for as long as this process lives, and let CUDA see that one alone.

    The kernel frees it when the process ends, however it ends. Who finds all cards taken waits; one client at a time
    looks for one that has become free, the others wait behind it.
    """
    cards = cards_of_run()
    if len(cards) == 1:
        return
    turn = os.open(socket_path() + ".turn", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(turn, fcntl.LOCK_EX)
    while not any(have(card) for card in cards):
        time.sleep(POLL_S)
    os.close(turn)


def have(card: str) -> bool:
    """Whether no other client has `card`; if so, it is now ours."""
    lock = os.open(socket_path(card) + ".client", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    os.set_inheritable(lock, os.environ.get("UNCHOKE_WARM") == "0")  # the command then takes this process's place
    show(card)
    return True


def show(card: str) -> None:
    """Let CUDA see one card alone in the worker that is to be started, which also gives that worker a socket."""
    os.environ["CUDA_VISIBLE_DEVICES"] = card
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # as nvidia-smi and the lease count


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
    """Ask the workers, if there are any, for their status or their end: those of this run, else all of this clone."""
    paths = [socket_path(card) for card in cards_of_run()] if "UNCHOKE_CARDS" in os.environ else sockets()
    answers = [said for path in paths if (said := ask(path, word))]
    print("\n".join(answers) or "no worker")
    return 0


def ask(path: str, word: str) -> str:
    """What the worker that listens at `path` says; empty where there is none, or it is just ending."""
    connection = reach(path)
    if connection is None:
        return ""
    try:
        send(connection, [word], outputs=[])
        return read_line(connection)
    except (BrokenPipeError, ConnectionResetError):
        return ""


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
        env={name: value for name, value in os.environ.items() if name != "UNCHOKE_RUN"},  # it outlives the run
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )


def socket_path(card: str | None = None) -> str:
    """One socket for each Python, folder of commands, card and Slurm job; in a folder of our own.

    card: None for the first of CUDA_VISIBLE_DEVICES.
    """
    card = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] if card is None else card
    clone, job = clone_and_job()
    short = card if len(card) < 4 and card.isalnum() else digest(card, 2)  # the names of cards may be UUIDs
    path = os.path.join(socket_folder(), clone + (f"-{short}" if card else "") + job)
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SystemExit(
            f"error: {path} is too long for a socket: {len(path)} characters, at most {LONGEST_PATH}\n"
            "  set XDG_RUNTIME_DIR to a folder with a shorter name"
        )
    return path


def sockets() -> list[str]:
    """The sockets of all cards, of this Python and folder of commands, in this Slurm job or outside of all."""
    (clone, job), folder = clone_and_job(), socket_folder()
    names = sorted(name for name in os.listdir(folder) if name.startswith(clone) and "." not in name)
    return [os.path.join(folder, name) for name in names if name.partition("-job")[2] == job.removeprefix("-job")]


def socket_folder() -> str:
    # A Slurm job inherits the login node's XDG_RUNTIME_DIR, which its own node need not have.
    runtime = os.environ.get("XDG_RUNTIME_DIR") if "SLURM_JOB_ID" not in os.environ else ""
    folder = os.path.join(runtime or "/tmp", f"unchoke-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    state = os.lstat(folder)
    if state.st_uid != os.getuid() or state.st_mode & 0o077:
        raise SystemExit(f"error: {folder} must be a folder that only you can read: remove it or its permissions")
    return folder


def clone_and_job() -> tuple[str, str]:
    """How the names of our sockets begin, and how they end."""
    places = [os.stat(place) for place in (SCRIPTS, sys.executable)]
    clone = digest(" ".join(f"{place.st_dev}.{place.st_ino}" for place in places), 5)
    job = os.environ.get("SLURM_JOB_ID", "")
    return clone, f"-job{job}" if job else ""


def digest(text: str, size: int) -> str:
    return blake2b(text.encode(), digest_size=size).hexdigest()


def log_path() -> str:
    return os.path.abspath(os.environ.get("UNCHOKE_WARM_LOG") or socket_path() + ".log")


def refuse_other_user(connection: _socket.socket) -> None:
    if not hasattr(_socket, "SO_PEERCRED"):
        return  # macOS: the folder's permissions alone keep others out
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, struct.calcsize("3i"))
    if struct.unpack("3i", credentials)[1] != os.getuid():
        raise SystemExit("error: the worker's socket belongs to another user")
