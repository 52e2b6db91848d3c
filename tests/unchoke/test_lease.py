"""The lease of a card: one holder on a machine, named to those who wait, gone with its process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from warm_house import House, wait_until

HOLD = (
    "import time; from unchoke.lease import take_lease; take_lease('card'); print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def locks(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "UNCHOKE_LOCKS": str(tmp_path / "locks")}


def start(locks: dict[str, str], code: str = HOLD) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code], env=locks, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def read(stream) -> str:  # type: ignore[no-untyped-def]
    return stream.readline()


def test_the_second_waits_and_says_for_whom_until_the_first_ends(locks: dict[str, str]) -> None:
    first = start(locks)
    assert read(first.stdout) == "held\n"
    second = start(locks)
    line = read(second.stderr)
    assert f"held by pid {first.pid} " in line and "since" in line
    first.send_signal(signal.SIGKILL)  # the lock of a dead process never blocks
    first.wait()
    assert read(second.stdout) == "held\n"
    second.kill()


def test_a_lock_file_of_the_past_does_not_block(locks: dict[str, str]) -> None:
    Path(locks["UNCHOKE_LOCKS"]).mkdir()
    (Path(locks["UNCHOKE_LOCKS"]) / "card.lock").write_text("pid 1 (somebody) since long ago\n\n")
    process = start(locks)
    assert read(process.stdout) == "held\n"
    process.kill()


def test_a_process_takes_its_own_lease_once(locks: dict[str, str]) -> None:
    code = "from unchoke.lease import take_lease\ntake_lease('card')\ntake_lease('card')\nprint('held', flush=True)\n"
    assert start(locks, code).communicate(timeout=20)[0] == "held\n"


def test_different_cards_do_not_wait_for_each_other(locks: dict[str, str]) -> None:
    first = start(locks)
    assert read(first.stdout) == "held\n"
    other = start(locks, HOLD.replace("'card'", "'another'"))
    assert read(other.stdout) == "held\n"
    first.kill(), other.kill()


def test_an_idle_worker_makes_room_and_a_busy_one_does_not(house: House, locks: dict[str, str]) -> None:
    (house.folder / "scripts" / "hold.py").write_text(
        "from unchoke.lease import take_lease\ndef main(argv):\n    take_lease('card')\n    print('held')\n"
    )
    assert house.warm("hold")[1] == "held\n"
    begun = house.folder / "begun"
    client = house.start("last", str(begun), "never")
    wait_until(begun.exists)
    waiting = start(locks)
    assert "(warm worker)" in read(waiting.stderr)
    time.sleep(2)  # longer than an idle worker would need
    assert waiting.poll() is None and house.worker()
    client.kill()
    assert read(waiting.stdout) == "held\n"
    waiting.kill()
    assert house.warm("hold")[1] == "held\n"  # a new worker
    waiting = start(locks)
    assert read(waiting.stdout) == "held\n"  # the idle worker has ended for it
    waiting.kill()
