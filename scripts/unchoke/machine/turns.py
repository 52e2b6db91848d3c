"""Clients take turns at the graphics cards: each has one card of UNCHOKE_CARDS for as long as it lives."""

import os

from unchoke.machine.sockets import open_lock, socket_path

POLL_S = 0.005  # by the one client whose turn it is, while all cards are taken


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
    import fcntl  # here and below: where cards are taken, which most clients need not do
    import time

    turn = open_lock(socket_path() + ".turn")
    fcntl.flock(turn, fcntl.LOCK_EX)
    while not any(have(card) for card in cards):
        time.sleep(POLL_S)
    os.close(turn)


def have(card: str) -> bool:
    """Whether no other client has `card`; if so, it is now ours."""
    import fcntl

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
