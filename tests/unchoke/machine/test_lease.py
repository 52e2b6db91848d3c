"""The lease of a card: one holder on a machine, named to those who wait, gone with its process."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from warm_house import House, wait_until

from unchoke.machine import lease

HOLD = (
    "import time; from unchoke.machine.lease import take_lease; "
    "take_lease('card'); print('held', flush=True); time.sleep(60)"
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
    assert line.startswith("waiting: for graphics card card, since 20") and f"held by pid {first.pid} " in line
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
    code = "from unchoke.machine.lease import take_lease\n" + "take_lease('card')\n" * 2 + "print('held', flush=True)\n"
    assert start(locks, code).communicate(timeout=20)[0] == "held\n"


def test_different_cards_do_not_wait_for_each_other(locks: dict[str, str]) -> None:
    first = start(locks)
    assert read(first.stdout) == "held\n"
    other = start(locks, HOLD.replace("'card'", "'another'"))
    assert read(other.stdout) == "held\n"
    first.kill(), other.kill()


def quick_keeper() -> str:
    """HOLD, with a look at the lock file ten times a second."""
    return HOLD.replace(
        "; take_lease", "; import unchoke.machine.lease; unchoke.machine.lease.KEEP_S = 0.1; take_lease", 1
    )


def lock_file(locks: dict[str, str]) -> Path:
    return Path(locks["UNCHOKE_LOCKS"]) / "card.lock"


def remove(file: Path) -> None:
    file.unlink()


def replace(file: Path) -> None:
    file.unlink()
    file.touch()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the file alone keeps others out, once it is back")
@pytest.mark.parametrize("tamper", [remove, replace])
def test_a_lease_outlives_its_lock_file(locks: dict[str, str], tamper: Callable[[Path], None]) -> None:
    """As a cleaner of the temporary folder removes it: the next one waits, and hears for whom once it is put back."""
    first = start(locks, quick_keeper())
    assert read(first.stdout) == "held\n"
    tamper(lock_file(locks))
    second = start(locks)
    lines = [read(second.stderr)]
    while f"held by pid {first.pid} " not in lines[-1]:
        lines.append(read(second.stderr))
    assert second.poll() is None and len(lines) < 4
    first.kill()
    first.wait()
    assert read(second.stdout) == "held\n"
    second.kill()


def test_a_file_that_is_replaced_while_it_is_locked_is_not_the_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the kernel's names: the file that was opened has just been removed by its last holder."""
    monkeypatch.setenv("UNCHOKE_LOCKS", str(tmp_path))
    monkeypatch.setattr(lease, "_bind", lambda path: (None, True))
    monkeypatch.setattr(lease.time, "sleep", lambda seconds: None)
    real, removals = lease._try_lock, iter([True, True, False])

    def lock_what_is_removed(handle: int) -> bool:
        if next(removals, False):
            replace(tmp_path / "card.lock")
        return real(handle)

    monkeypatch.setattr(lease, "_try_lock", lock_what_is_removed)
    held = lease._Lease(tmp_path / "card.lock")
    assert [bool(held.try_to_take()) for _ in range(3)] == [True, True, False]
    assert os.fstat(held.handle).st_ino == (tmp_path / "card.lock").stat().st_ino


def test_a_holder_keeps_its_file_young(locks: dict[str, str]) -> None:
    """Cleaners go by age; ten days are too long for a test."""
    first = start(locks, quick_keeper())
    assert read(first.stdout) == "held\n"
    os.utime(lock_file(locks), (1, 1))
    wait_until(lambda: lock_file(locks).stat().st_mtime > 1)
    first.kill()


def plant_pipe(file: Path) -> None:
    os.mkfifo(file)


def plant_link(file: Path) -> None:
    file.symlink_to(file.with_name("nothing"))


def plant_hard_link(file: Path) -> None:
    file.with_name("theirs").write_text("of value")
    file.hardlink_to(file.with_name("theirs"))


def plant_folder(file: Path) -> None:
    file.mkdir()


def plant_file_for_folder(file: Path) -> None:
    file.parent.rmdir()
    file.parent.touch()


def plant_dangling_folder(file: Path) -> None:
    file.parent.rmdir()
    file.parent.symlink_to("nothing")


@pytest.mark.parametrize(
    "plant",
    [plant_pipe, plant_link, plant_hard_link, plant_folder, plant_file_for_folder, plant_dangling_folder],
    ids=lambda plant: plant.__name__,
)
def test_what_is_no_lock_file_is_named_and_left_alone(locks: dict[str, str], plant: Callable[[Path], None]) -> None:
    file = lock_file(locks)
    file.parent.mkdir()
    plant(file)
    imports = "from unchoke.machine.commands import run; from unchoke.machine.lease import take_lease"
    code = f"{imports}; exit(run(take_lease, 'card'))"
    process = start(locks, code)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "") and "Traceback" not in err
    assert "lock of a graphics card cannot be used" in err and str(file) in err and "UNCHOKE_LOCKS" in err
    if (file.parent / "theirs").exists():
        assert (file.parent / "theirs").read_text() == "of value"
    assert not (file.parent / "nothing").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_folder_of_locks_that_is_closed_to_this_user_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    folder.mkdir(mode=0o700)
    imports = (
        "import locale, os; from unchoke.machine.commands import run; from unchoke.machine.lease import take_lease"
    )
    code = f"{imports}; os.setuid(65534); exit(run(take_lease, 'card'))"
    opened = [part for part in tmp_path.parents if not part.stat().st_mode & 0o001] + [tmp_path]
    modes = [part.stat().st_mode for part in opened]
    for part in opened:
        part.chmod(0o755)
    process = start({**os.environ, "UNCHOKE_LOCKS": str(folder)}, code)
    _, err = process.communicate(timeout=20)
    for part, mode in zip(opened, modes, strict=True):
        part.chmod(mode)
    assert process.returncode == 1 and "Permission denied" in err and "Traceback" not in err and str(folder) in err


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07\x1b[2J\u202egnp", "\x85\x0c\u2028", "x" * 4000, "\n", "\0"])
def test_what_a_holder_says_of_itself_is_printed_without_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("UNCHOKE_LOCKS", str(tmp_path))
    with (tmp_path / "card.lock").open("w") as file:
        file.write(text)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        shown = lease.holder_of("card")
    assert shown.strip() and shown.isprintable() and len(shown) <= 201


def test_an_idle_worker_makes_room_and_a_busy_one_does_not(house: House, locks: dict[str, str]) -> None:
    (house.folder / "scripts" / "hold.py").write_text(
        "from unchoke.machine.lease import take_lease\ndef main(argv):\n    take_lease('card')\n    print('held')\n"
    )
    assert house.warm("hold")[1] == "held\n"
    begun = house.folder / "begun"
    client = house.start("last", str(begun), "never", UNCHOKE_RUN_NAME="birds (my.yaml), Snakemake 7")
    wait_until(begun.exists)
    waiting = start(locks)
    line = read(waiting.stderr)
    assert "(warm worker)" in line and ", which runs last of birds (my.yaml), Snakemake 7 for pid" in line
    time.sleep(2)  # longer than an idle worker would need
    assert waiting.poll() is None and house.worker()
    client.kill()
    assert read(waiting.stdout) == "held\n"
    waiting.kill()
    assert house.warm("hold")[1] == "held\n"  # a new worker
    waiting = start(locks)
    assert read(waiting.stdout) == "held\n"  # the idle worker has ended for it
    waiting.kill()
