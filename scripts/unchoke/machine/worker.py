"""The warm worker: one process that keeps torch and loaded encoders between commands. ``scripts/warm`` starts it.

It runs ``main(argv)`` of ``scripts/<command>.py``, one request at a time. It has no code for features or heads. A
thread answers the socket, the main thread runs the commands. A client passes its own stdout and stderr, to which the
command prints. When the client goes away, worker and command end at once.

It also ends after UNCHOKE_WARM_IDLE_S (300 s) without a command, on request, and when a file of the code has changed.
An idle worker ends when another process asks for the graphics card. In a Slurm job it ends with the task that started
it, even if Slurm does not end processes outside the job's process tree.
"""

import contextlib
import fcntl
import importlib
import os
import queue
import selectors
import socket
import sys
import threading
import time
from pathlib import Path

from unchoke.machine.messages import LONGEST_S, Message, refuse_other_user
from unchoke.machine.process_state import code_state, cuda_is_broken, memory_text
from unchoke.machine.turns import WAITING
from unchoke.machine.worker_requests import Request, known_command, request_of, run_command, tell

YIELD_AFTER_S = 1.0  # jobs of one run follow each other faster
RETRY_S = 0.1  # pause after a failed accept
CONTROLS = ("status", "stop", "yield")


class Worker:
    """State shared by the two threads: the waiting requests, the current one, and whether to go on."""

    def __init__(self, listener: socket.socket, path: Path, idle_s: float) -> None:
        self.listener, self.path, self.idle_s = listener, path, idle_s
        self.inode, self.code = path.stat().st_ino, code_state()
        self.requests: queue.SimpleQueue[Request | str | None] = queue.SimpleQueue()
        self.current: Request | None = None
        self.waiting: list[Request] = []
        self.since = time.monotonic()
        self.stopping = False
        self.lock = threading.Lock()  # so that a request is either taken or dropped
        self.log = os.dup(2)
        self.incoming: set[Message] = set()
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        if task := os.environ.get("SLURM_TASK_PID"):
            self._watch(task)

    def _watch(self, task: str) -> None:
        """End with a Slurm task. If the system cannot report its end, Slurm or the idle time ends the worker."""
        try:
            ended = os.pidfd_open(int(task))
        except (AttributeError, OSError, ValueError) as error:  # an old kernel or Python, or other process ids in here
            self._log(f"cannot watch the Slurm task {task}: {type(error).__name__}: {error}")
            return
        self.selector.register(ended, selectors.EVENT_READ, f"the Slurm task {task} has ended")

    def serve(self) -> None:
        """Run one request after the other until there is a reason to end."""
        threading.Thread(target=self._answer, daemon=True).start()
        while (request := self._next()) is not None:
            status = run_command(request)
            self.current, self.since = None, time.monotonic()  # before the client gets the status and hangs up
            tell(request.connection, str(status))
            if cuda_is_broken():
                self._log("ends: CUDA is broken")
                break
            if self.stopping:
                break
        self._free_path()

    def _next(self) -> Request | None:
        """Take and return the next request; None when it is time to end."""
        while True:
            try:
                request = self.requests.get(timeout=self.idle_s)
            except queue.Empty:
                self._log(f"ends: idle for {self.idle_s:g} s")
                return None
            if request is None:
                return None
            if code_state() != self.code:
                self._log("ends: its code has changed")
                return None  # the client has not read `taken`, and asks the next worker
            if isinstance(request, str):
                self._load(request)
            elif self._take_on(request):
                tell(request.connection, "taken")
                return request

    def _take_on(self, request: Request) -> bool:
        """Make a request the current one; False if its client has gone."""
        with self.lock:
            self.waiting.remove(request)
            if not request.dropped:
                self.current, self.since = request, time.monotonic()
                self._name_current()
            return not request.dropped

    def _name_current(self) -> None:
        """Say to the waiting clients of other runs, once each, for whom they wait. Call it with the lock held."""
        current, now = self.current, time.time()
        if current is None:
            return
        since = time.strftime("%F %T", time.localtime(now - (time.monotonic() - self.since)))
        for request in self.waiting:
            if request.waits_for_another(current):
                request.told = True
                waits = f"since {time.strftime('%F %T', time.localtime(now))}"
                text = f"{WAITING}for the worker, pid {os.getpid()}, {waits}: it runs {current}, since {since}"
                tell(request.connection, text)

    def _load(self, command: str) -> None:
        """Import a command's code before its first call; that call will report any error."""
        with contextlib.suppress(Exception):
            importlib.import_module(command)

    def _free_path(self) -> None:
        """Free the socket's path, if it is still ours, under the lock under which clients start workers."""
        with Path(f"{self.path}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if self.path.stat().st_ino == self.inode:
                    self.path.unlink()
            self.listener.close()

    def _answer(self) -> None:
        """The other thread: take messages in, and notice clients that go away."""
        while True:
            for key, _ in self.selector.select(self._until_deadline()):
                if key.fileobj is self.listener:
                    self._accept()
                elif isinstance(key.data, str):
                    self._log(f"ends: {key.data}")
                    os._exit(1)
                elif isinstance(key.data, Message):
                    self._take_in(key.data)
                else:
                    self._hang_up(key.data)
            for message in [message for message in self.incoming if message.deadline < time.monotonic()]:
                self._refuse(message, TimeoutError(f"a message took more than {LONGEST_S:g} s"))

    def _until_deadline(self) -> float | None:
        """Seconds until a client has taken too long; None where nobody is sending."""
        left = [message.deadline - time.monotonic() for message in self.incoming]
        return max(0.0, min(left)) if left else None

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError as error:  # for example no descriptors left, or a client that has gone
            self._log(f"refused: {type(error).__name__}: {error}")
            time.sleep(RETRY_S)
            return
        connection.setblocking(False)
        message = Message(connection)
        self.incoming.add(message)
        self.selector.register(connection, selectors.EVENT_READ, message)
        try:
            refuse_other_user(connection)
        except OSError as error:
            self._refuse(message, error)
        else:
            tell(connection, "ready")  # clients wait for it, since a stopped worker would keep their outputs open

    def _take_in(self, message: Message) -> None:
        """Receive more of a message. An error affects only its client."""
        try:
            if message.receive():
                self._begin(message, message.fields())
        except Exception as error:
            self._refuse(message, error)

    def _refuse(self, message: Message, error: Exception) -> None:
        self._log(f"refused: {type(error).__name__}: {error}")
        self._end_message(message)
        message.close()

    def _end_message(self, message: Message) -> None:
        self.incoming.discard(message)
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(message.connection)

    def _begin(self, message: Message, fields: list[str]) -> None:
        """Start the action of a whole message; ValueError for an unknown one."""
        if message.outputs:
            request = request_of(message, fields)
            self._end_message(message)
            request.connection.setblocking(True)
            self.selector.register(request.connection, selectors.EVENT_READ, request)
            with self.lock:
                self.waiting.append(request)
                self._name_current()
            self.requests.put(request)
        elif fields[0] == "load" and len(fields) == 2:
            self.requests.put(known_command(fields[1]))
            self._end_message(message)
            message.close()
        elif fields[0] in CONTROLS and len(fields) == 1:
            self._end_message(message)
            self._answer_control(message.connection, fields[0])
        else:
            raise ValueError(f"asked for {fields[0][:99]!r} with {len(fields)} fields")

    def _hang_up(self, request: Request) -> None:
        """A client has closed its connection: its command is done, or no longer wanted. Further bytes are ignored."""
        with contextlib.suppress(OSError):
            if request.connection.recv(4096, socket.MSG_DONTWAIT):
                return
        self.selector.unregister(request.connection)
        with self.lock:
            request.dropped = True
            if request is self.current:
                self._log(f"ends: the client of {request} has gone")
                os._exit(1)
            while request.outputs:  # of a request never taken; its readers must see the end
                os.close(request.outputs.pop())
        request.connection.close()

    def _answer_control(self, connection: socket.socket, word: str) -> None:
        """Send the state, then end if asked to, so that the answer leaves before the process ends."""
        current, seconds, card = self.current, time.monotonic() - self.since, os.environ.get("CUDA_VISIBLE_DEVICES")
        ends = word == "stop" or (word == "yield" and current is None and seconds > YIELD_AFTER_S)
        state = f"pid {os.getpid()}, {f'card {card}, ' if card else ''}{memory_text()}, "
        state += f"runs {current} since {seconds:.0f} s" if current else f"idle since {seconds:.0f} s"
        tell(connection, f"{'ends: ' if ends else ''}{state}")
        connection.close()
        if ends:
            self._log(f"ends: asked to {word}")
            self.stopping = True
            self.requests.put(None)

    def _log(self, text: str) -> None:
        os.write(self.log, f"{time.strftime('%F %T')} worker {os.getpid()} {text}\n".encode())


def main() -> None:
    """``python -m unchoke.machine.worker <listening descriptor> <path of the socket>``"""
    listener, path = socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2])
    listener.set_inheritable(False)
    listener.listen(128)  # again, so that clients see the id of this process, not of the socket's maker
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.environ["UNCHOKE_WORKER"] = str(path)
    Worker(listener, path, float(os.environ.get("UNCHOKE_WARM_IDLE_S", "300"))).serve()
    sys.stdout.flush()
    os._exit(0)  # torch's own exit takes seconds, and others wait for the card


if __name__ == "__main__":
    main()
