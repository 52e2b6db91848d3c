"""Clients take turns at the graphics cards: each has one card of UNCHOKE_CARDS for as long as it lives."""

import os
import sys

from unchoke.machine.sockets import RUN_NAME, open_lock, socket_path

POLL_S = 0.005  # for the one client that polls while all cards are taken
LOOK_S = 0.5  # between two looks at who has the cards
WAITING = "waiting: "
"""How every message begins that says for whom a job waits; whoever shows logs looks for it."""
_LONGEST = 1000  # bytes of a card's holder


def cards_of_run() -> list[str]:
    """The cards that the run may use, as CUDA_VISIBLE_DEVICES names them; one empty name where it names none."""
    count, visible = int(os.environ.get("UNCHOKE_CARDS") or 1), os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(card) for card in range(count)] if count > 1 else [""]
    return visible.split(",")[:count]


def take_card(command: str) -> None:
    """Take one of several cards for a command until this process ends, and let CUDA see only this one.

    The kernel frees the card when the process ends, however it ends. If all cards are taken, clients wait in line, and
    only the first of them polls for a free card. One that waits for another run says so.
    """
    cards = cards_of_run()
    if len(cards) == 1:
        return
    import fcntl  # imported late here and below, since most clients take no card
    import time

    turn, told, look = open_lock(socket_path() + ".turn"), False, 0.0
    try:
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        told = _name_other_runs(cards)
        fcntl.flock(turn, fcntl.LOCK_EX)
    while not any(have(card, command) for card in cards):
        if not told and time.monotonic() > look:
            told, look = _name_other_runs(cards), time.monotonic() + LOOK_S
        time.sleep(POLL_S)
    os.close(turn)


def _name_other_runs(cards: list[str]) -> bool:
    """Print who has the cards where one of them is of another run; whether it is."""
    holders = [holder for card in cards if (holder := _holder(card))]
    if all(run and run == os.environ.get(RUN_NAME) for run, _ in holders):
        return False
    import time

    names = "; ".join(dict.fromkeys(name for _, name in holders))
    print(f"{WAITING}for a graphics card, since {time.strftime('%F %T')}: {names}", file=sys.stderr, flush=True)
    return True


def _holder(card: str) -> tuple[str, str] | None:
    """The run of the client that has a card, and its description; None where it has not written them yet."""
    lock = open_lock(socket_path(card) + ".client")
    text = os.pread(lock, _LONGEST, 0).decode(errors="replace")
    os.close(lock)
    run, _, name = text.partition("\n")
    return (run, name) if name else None


def have(card: str, command: str = "") -> bool:
    """Whether no other client has `card`; if so, it is now ours, for `command`."""
    import fcntl
    import time

    lock = open_lock(socket_path(card) + ".client")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    run = os.environ.get(RUN_NAME, "")
    os.ftruncate(lock, 0)
    name = f"{command}{f' of {run}' if run else ''}, pid {os.getpid()}, since {time.strftime('%F %T')}"
    os.pwrite(lock, f"{run}\n{name}".encode(errors="replace")[:_LONGEST], 0)
    os.set_inheritable(lock, os.environ.get("UNCHOKE_WARM") == "0")  # the command then replaces this process
    show(card)
    return True


def show(card: str) -> None:
    """Let CUDA see only one card in the worker to be started; this choice also gives the worker its socket."""
    os.environ["CUDA_VISIBLE_DEVICES"] = card
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # the numbering of nvidia-smi and the lease
