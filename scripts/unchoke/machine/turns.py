"""Clients take turns at the graphics cards: each has one card of UNCHOKE_CARDS for as long as it lives."""

import os

from unchoke.machine.sockets import open_lock, socket_path

POLL_S = 0.005  # for the one client that polls while all cards are taken


def cards_of_run() -> list[str]:
    """The cards that the run may use, as CUDA_VISIBLE_DEVICES names them; one empty name where it names none."""
    count, visible = int(os.environ.get("UNCHOKE_CARDS") or 1), os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [str(card) for card in range(count)] if count > 1 else [""]
    return visible.split(",")[:count]


def take_card() -> None:
    """Take one of several cards until this process ends, and let CUDA see only this one.

    The kernel frees the card when the process ends, however it ends. If all cards are taken, clients wait in line, and
    only the first of them polls for a free card.
    """
    cards = cards_of_run()
    if len(cards) == 1:
        return
    import fcntl  # imported late here and below, since most clients take no card
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
    os.set_inheritable(lock, os.environ.get("UNCHOKE_WARM") == "0")  # the command then replaces this process
    show(card)
    return True


def show(card: str) -> None:
    """Let CUDA see only one card in the worker to be started; this choice also gives the worker its socket."""
    os.environ["CUDA_VISIBLE_DEVICES"] = card
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # the numbering of nvidia-smi and the lease
