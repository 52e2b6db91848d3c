"""Run one of our commands in the warm worker: ``scripts/warm COMMAND ARGUMENT…``, ``--status``, or ``--stop``.

``--load COMMAND`` has the worker read a command's code while other things happen, and does not wait.

The client needs the standard library alone and ends with the command's own status. It starts the worker where there is
none. Ctrl-C or SIGTERM end the command with its worker. UNCHOKE_WARM=0, or ``--cold COMMAND``, runs the command in a
process of its own. Where the process ends while the command reads pictures, the client has it run again, and names a
picture that has ended it twice as unreadable: the module ``suspects`` says how.

A worker that answers nothing at all, as one that was stopped, is named after a few seconds. After
UNCHOKE_WARM_PATIENCE_S (120 s) a command that it has not taken on runs in a process of its own. A busy worker answers,
and is waited for.

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
NOTICE_S = 5  # until a worker that has not taken the command on is looked at
LOOK_AFTER_S = 30  # the same where it has, between two of its lines
ANSWER_S = 10  # for what a worker says about itself
POLL_S = 0.005  # by the one client whose turn it is, while all cards are taken


def main(arguments: list[str]) -> int:
    """Status of the command, or of what was asked of the worker."""
    try:
        status = answer(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # nobody reads what we print: end in silence, at exit too
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
        take_card()
        if os.environ.get("UNCHOKE_WARM") != "0":
            return work(arguments)
    return library("retries").run_cold(arguments)  # type: ignore[no-any-return]


def library(name: str):  # type: ignore[no-untyped-def]
    """One of our modules that are needed in trouble alone, which would cost every command some of its time."""
    if SCRIPTS not in sys.path:
        sys.path.append(SCRIPTS)
    return getattr(__import__(f"unchoke.{name}"), name)


def check_settings() -> None:
    """End with a message where the environment has a setting that cannot be meant."""
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
    """Status of the command, from a worker that has taken it on."""
    status, last = run_warm(arguments, "")
    if status is not None:
        return status
    ended = f"the worker ended before the command did; its log: {log_path()}"
    return library("retries").run_again(arguments, run_warm, last, ended)  # type: ignore[no-any-return]


def run_warm(arguments: list[str], care: str) -> tuple[int | None, str]:
    """Status of the command, or None and the last line that a worker said before it ended; see ``suspects``.

    A worker that ends before it has taken the command on is replaced.
    """
    command, *others = arguments
    for _ in range(TRIES):
        connection = connect()
        try:
            line = first_line(connection)  # before it is sent our outputs: a stopped worker would keep them open
            if line:
                send(connection, [command, os.getcwd(), str(os.getpid()), care, *others], outputs=[1, 2])
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
    """What a worker says first; empty where it has gone, None where it has been silent for too long."""
    connection.settimeout(NOTICE_S)
    try:
        return read_line(connection)
    except TimeoutError:
        return library("patience").await_turn(connection)  # type: ignore[no-any-return]


def follow(connection: _socket.socket) -> tuple[int | None, str]:
    """As ``run_warm``, of a command that has been taken on."""
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
    turn = open_lock(socket_path() + ".turn")
    fcntl.flock(turn, fcntl.LOCK_EX)
    while not any(have(card) for card in cards):
        time.sleep(POLL_S)
    os.close(turn)


def have(card: str) -> bool:
    """Whether no other client has `card`; if so, it is now ours."""
    lock = open_lock(socket_path(card) + ".client")
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
    connection.settimeout(ANSWER_S)
    try:
        send(connection, [word], outputs=[])
        return read_line(connection) and read_line(connection)  # behind the one that says that it is ready
    except TimeoutError:
        return library("patience").silent(connection)  # type: ignore[no-any-return]
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
    except OSError as error:  # such as a link to itself
        raise SystemExit(f"error: {path} cannot be used: {error.strerror}\n  remove it") from None
    refuse_other_user(connection)
    return connection


def start_worker(path: str) -> None:
    """Start a worker that listens at `path`, unless another client has just done it.

    The socket listens before the worker runs: who connects early waits in its queue, and nobody polls.
    """
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


def open_lock(path: str) -> int:
    """A lock file of ours; a link or a pipe that has its name is neither followed nor waited for."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SystemExit(f"error: {path} cannot be used as a lock: {error.strerror}\n  remove it") from None


def spawn(listener: _socket.socket, path: str) -> None:
    """The worker, with nothing of ours but the socket: its own session, no terminal, no pipe, its own log."""
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
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        state = os.lstat(folder)
        wrong = state.st_uid != os.getuid() or state.st_mode & 0o170077 != 0o040000  # a folder, closed to all others
        found = f"user {state.st_uid}, mode {state.st_mode:o}"
    except OSError as error:
        wrong, found = True, str(error.strerror)
    if wrong:
        raise SystemExit(
            f"error: {folder} must be a folder that only you can read\n  found:    {found}\n"
            "  do:       remove it or its permissions, or set XDG_RUNTIME_DIR to a folder of your own"
        )
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
