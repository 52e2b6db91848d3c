"""The warm worker and its client, by real processes over commands made for the test."""

import contextlib
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm_house import House, alive, wait_until


def test_a_command_prints_where_its_client_prints_and_works_in_its_folder(house: House) -> None:
    status, out, err = house.warm("say", "a b", "ü\nc", "")
    assert (status, err) == (0, "aside\n")
    assert out.startswith(f"a b ü\nc  {house.folder} ")


def test_the_worker_stays_warm_between_commands(house: House) -> None:
    assert [house.warm("count")[1] for _ in range(3)] == ["1\n", "2\n", "3\n"]


def test_cold_gives_the_same_in_a_process_of_its_own(house: House) -> None:
    warm, cold = house.warm("say", "x"), house.warm("say", "x", UNCHOKE_WARM="0")
    assert cold[0] == warm[0] == 0
    assert cold[1].split()[:2] == warm[1].split()[:2]
    assert cold[1].split()[2] != warm[1].split()[2]  # the process


@pytest.mark.parametrize(
    ("command", "status", "said"), [("fail", 1, "ValueError: on purpose"), ("refuse", 1, "ask better")]
)
def test_a_command_that_raises_leaves_the_worker_usable(house: House, command: str, status: int, said: str) -> None:
    house.warm("count")
    assert (house.warm(command)[0], said in house.warm(command)[2]) == (status, True)
    assert house.warm("count")[1] == "2\n"


def test_wrong_arguments_end_with_the_commands_own_status(house: House) -> None:
    assert house.warm("parse", "--nope")[0] == 2


@pytest.mark.parametrize("name", ["nope", "../say", "unchoke", "scripts/say", ".", "say.py", "unchoke.machine.worker"])
def test_only_commands_of_the_folder_are_run(house: House, name: str) -> None:
    status, _, err = house.warm(name)
    assert status == 2 and "there is no command" in err


def test_a_request_by_hand_for_something_else_is_refused(house: House) -> None:
    house.warm("count")
    path = next(file for file in (house.folder / f"unchoke-{os.getuid()}").iterdir() if file.is_socket())
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        message = b"\0".join([b"../../../etc/passwd", b"/", b"1", b"", b""])
        socket.send_fds(connection, [struct.pack("!I", len(message))], [1, 2])
        connection.sendall(message)
        assert (connection.recv(10), connection.recv(10)) == (b"ready\n", b"")
    assert house.warm("count")[1] == "2\n"


def test_the_socket_lies_where_only_its_owner_can_reach_it(house: House) -> None:
    house.warm("count")
    folder = house.folder / f"unchoke-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    assert "must be a folder that only you can read" in house.warm("count")[2]
    folder.chmod(0o700)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_refused(house: House) -> None:
    house.warm("count")
    folder = house.folder / f"unchoke-{os.getuid()}"
    path = next(file for file in folder.iterdir() if file.is_socket())
    path.chmod(0o777)
    closed = [part for part in (folder, house.folder, *house.folder.parents) if not part.stat().st_mode & 0o001]
    for part in closed:  # let the other user come as far as the socket itself
        part.chmod(part.stat().st_mode | 0o777)
    code = (
        "import os, socket, sys; os.setuid(65534); c = socket.socket(socket.AF_UNIX); c.connect(sys.argv[1]);"
        "c.sendall(b'\\0\\0\\0\\6status'); print(c.recv(99))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    for part in closed:
        part.chmod(part.stat().st_mode & 0o700)
    assert done.stdout == "b''\n" or "ConnectionResetError" in done.stderr or "BrokenPipeError" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_client_is_the_end_of_command_and_worker(house: House, number: int) -> None:
    begun, done = house.folder / "begun", house.folder / "done"
    client = house.start("last", str(begun), str(done))
    wait_until(begun.exists)
    worker = house.worker()
    client.send_signal(number)
    client.wait()
    wait_until(lambda: not alive(worker))
    assert not done.exists()
    assert house.warm("count")[1] == "1\n"  # a fresh worker


def test_the_end_of_the_worker_is_told_and_the_next_client_starts_afresh(house: House) -> None:
    status, _, err = house.warm("vanish")
    assert status == 1 and "the worker ended before the command did" in err
    assert house.warm("count")[:2] == (0, "1\n")


def test_a_killed_worker_is_replaced(house: House) -> None:
    house.warm("count")
    os.kill(house.worker(), signal.SIGKILL)
    assert house.warm("count")[:2] == (0, "1\n")


def test_clients_at_once_share_one_worker_that_serves_them_in_turn(house: House) -> None:
    clients = [house.start("count") for _ in range(8)]
    assert sorted(client.communicate(timeout=60)[0] for client in clients) == [f"{n}\n" for n in range(1, 9)]


def test_changed_code_is_run_by_a_new_worker(house: House) -> None:
    house.warm("count")
    (house.folder / "scripts" / "count.py").write_text("def main(argv):\n    print('new')\n")
    assert house.warm("count")[1] == "new\n"


def test_stop_ends_an_idle_worker_and_frees_its_path(house: House) -> None:
    house.warm("count")
    worker = house.worker()
    assert "ends" in house.warm("--stop")[1]
    wait_until(lambda: not alive(worker))
    assert house.warm("--status")[1] == "no worker\n"
    assert house.warm("--stop")[1] == "no worker\n"


def test_status_says_what_runs_and_for_whom(house: House) -> None:
    begun = house.folder / "begun"
    client = house.start("last", str(begun), "never")
    wait_until(begun.exists)
    out = house.warm("--status")[1]
    assert f"runs last for pid {client.pid} in {house.folder}" in out and " MB" in out
    client.kill()


def test_an_idle_worker_ends(house: House) -> None:
    house.warm("count", UNCHOKE_WARM_IDLE_S="0.3")
    wait_until(lambda: house.warm("--status")[1] == "no worker\n")


def test_the_worker_keeps_nothing_of_the_job_that_started_it(house: House) -> None:
    process = house.start("count")
    out, _ = process.communicate(timeout=60)  # ends only when nobody holds the pipe any more
    worker = house.worker()
    assert out == "1\n"
    assert os.getsid(worker) == worker != os.getsid(0)
    targets = {file.name: str(file.readlink()) for file in Path(f"/proc/{worker}/fd").iterdir()}
    assert not [target for target in targets.values() if target.startswith("pipe:")]
    assert targets["0"] == "/dev/null"


def test_a_slurm_job_has_a_worker_of_its_own(house: House) -> None:
    house.warm("count")
    assert house.warm("count", SLURM_JOB_ID="7") == (0, "1\n", "")
    assert house.warm("count") == (0, "2\n", "")
    house.warm("--stop", SLURM_JOB_ID="7")


@pytest.mark.parametrize("task", ["999999999", "none"])
def test_a_slurm_task_that_cannot_be_watched_stops_nobody(house: House, task: str) -> None:
    """As in a container that numbers its processes anew."""
    assert house.warm("count", SLURM_JOB_ID="8", SLURM_TASK_PID=task) == (0, "1\n", "")
    house.warm("--stop", SLURM_JOB_ID="8")


def test_a_worker_ends_with_its_slurm_task(house: House) -> None:
    task = subprocess.Popen(["sleep", "100"])
    assert house.warm("count", SLURM_JOB_ID="9", SLURM_TASK_PID=str(task.pid)) == (0, "1\n", "")
    task.kill()
    task.wait()
    wait_until(lambda: house.warm("--status", SLURM_JOB_ID="9")[1] == "no worker\n")


def test_a_folder_too_deep_for_a_socket_is_named(house: House) -> None:
    deep = house.folder / ("deep" * 25)
    status, out, err = house.warm("count", XDG_RUNTIME_DIR=str(deep))
    assert (status, out) == (1, "") and "too long for a socket" in err and "XDG_RUNTIME_DIR" in err


def test_code_can_be_read_ahead(house: House) -> None:
    (house.folder / "scripts" / "slow.py").write_text(
        "from pathlib import Path\nimport os\nPath(os.environ['READ']).write_text(str(os.getpid()))\n"
        "def main(argv):\n    print(os.getpid())"
    )
    read = house.folder / "read"
    assert house.warm("--load", "slow", READ=str(read)) == (0, "", "")
    wait_until(lambda: read.exists() and read.read_text())
    assert house.warm("slow")[1].strip() == read.read_text()


def test_reading_ahead_reports_nothing_and_the_call_does(house: House) -> None:
    (house.folder / "scripts" / "broken.py").write_text("import nothing_of_this_name")
    assert house.warm("--load", "broken") == (0, "", "")
    status, _, err = house.warm("broken")
    assert status == 1 and "nothing_of_this_name" in err
    assert house.warm("count")[1] == "1\n"


def test_cold_runs_load_nothing(house: House) -> None:
    assert house.warm("--load", "count", UNCHOKE_WARM="0") == (0, "", "")
    assert house.warm("--status")[1] == "no worker\n"


def test_a_worker_that_is_still_importing_torch_answers(house: House) -> None:
    begun = house.folder / "begun"
    (house.folder / "scripts" / "torch.py").write_text(
        f"import time\nfrom pathlib import Path\nPath({str(begun)!r}).touch()\ntime.sleep(1)\n"
    )
    (house.folder / "scripts" / "half.py").write_text("import torch\ndef main(argv):\n    print('done')")
    house.warm("--load", "half")
    wait_until(begun.exists)
    assert "idle" in house.warm("--status")[1]
    assert house.warm("half") == (0, "done\n", "")


def test_a_client_that_is_killed_while_it_waits_leaves_nobody_waiting(house: House) -> None:
    (house.folder / "scripts" / "slow.py").write_text("import time\ntime.sleep(8)\ndef main(argv):\n    pass")
    house.warm("--load", "slow")
    client = house.start("count")
    time.sleep(0.5)
    client.kill()
    assert client.communicate(timeout=4) == ("", "")  # its outputs end, though the worker is still busy


BIRDS, FISH = ({"UNCHOKE_RUN_NAME": f"{name} (my.yaml), Snakemake {pid}"} for name, pid in (("birds", 7), ("fish", 8)))


def test_a_command_that_waits_for_another_run_says_so_at_once_and_for_whom(house: House) -> None:
    begun = house.folder / "begun"
    first = house.start("last", str(begun), "never", **BIRDS)
    wait_until(begun.exists)
    own, other, foreign = (house.start("count", **run) for run in (BIRDS, FISH, {}))
    began = time.monotonic()
    for client in (other, foreign):
        line = client.stderr.readline()  # type: ignore[union-attr]
        assert line.startswith("waiting: for the worker, pid ") and line.count(", since 20") == 2
        assert f"it runs last of birds (my.yaml), Snakemake 7 for pid {first.pid} in {house.folder}" in line
    assert time.monotonic() - began < 2  # Python starts twice within it
    first.kill()
    out, err = own.communicate(timeout=20)
    assert "birds" not in err  # it may have waited for the others at the next worker
    served = [out, *(client.communicate(timeout=20)[0] for client in (other, foreign))]
    assert sorted(served) == ["1\n", "2\n", "3\n"]


HOLD = """
import os, sys, time
from pathlib import Path
def main(argv):
    card = os.environ["CUDA_VISIBLE_DEVICES"]
    (Path(argv[0]) / f"begun.{card}.{argv[1]}").touch()
    while not (Path(argv[0]) / f"end.{argv[1]}").exists():
        time.sleep(0.01)
    print(card, os.getpid())
"""


@pytest.fixture
def cards(house: House) -> Iterator[House]:
    """A house with the command `hold`, which holds its card until it is told to end."""
    (house.folder / "scripts" / "hold.py").write_text(HOLD + "if __name__ == '__main__':\n    main(sys.argv[1:])\n")
    yield house
    for pid in workers(house):
        os.kill(pid, signal.SIGKILL)


def workers(house: House) -> list[int]:
    """Process ids of all workers of a house."""
    return [int(line.split()[1].rstrip(",")) for line in house.warm("--status")[1].splitlines() if "pid" in line]


def hold(house: House, name: str, **more: str) -> "subprocess.Popen[str]":
    return house.start("hold", str(house.folder), name, **{"UNCHOKE_CARDS": "2", **more})


def begun(house: House) -> set[str]:
    """Cards and names of what has begun."""
    return {file.name.removeprefix("begun.") for file in house.folder.glob("begun.*")}


def end(house: House, client: "subprocess.Popen[str]", name: str) -> str:
    """Let a command end; its card."""
    (house.folder / f"end.{name}").touch()
    return client.communicate(timeout=20)[0].split()[0]


@pytest.mark.parametrize("warm", ["1", "0"])
def test_two_run_at_once_on_two_cards_and_a_third_waits(cards: House, warm: str) -> None:
    clients = {}
    for name, expected in (("a", {"0.a"}), ("b", {"0.a", "1.b"})):
        clients[name] = hold(cards, name, UNCHOKE_WARM=warm)
        wait_until(lambda expected=expected: begun(cards) == expected)
    clients["c"] = hold(cards, "c", UNCHOKE_WARM=warm)
    time.sleep(0.5)
    assert begun(cards) == {"0.a", "1.b"}
    assert end(cards, clients["b"], "b") == "1"
    wait_until(lambda: begun(cards) == {"0.a", "1.b", "1.c"})
    assert [end(cards, clients[name], name) for name in "ac"] == ["0", "1"]


def test_who_waits_for_a_card_of_another_run_says_so_and_of_its_own_nothing(cards: House) -> None:
    holders = [hold(cards, name, **BIRDS) for name in "ab"]
    wait_until(lambda: len(begun(cards)) == 2)
    other = hold(cards, "c", **FISH)
    line = other.stderr.readline()  # type: ignore[union-attr]
    assert line.startswith("waiting: for a graphics card, since 20")
    assert all(f"hold of birds (my.yaml), Snakemake 7, pid {holder.pid}, since 20" in line for holder in holders)
    own = hold(cards, "d", **BIRDS)  # the second in line
    for name in "abcd":
        (cards.folder / f"end.{name}").touch()
    assert [client.communicate(timeout=20)[1] for client in (*holders, own)] == ["", "", ""]


def test_a_killed_client_frees_its_card(cards: House) -> None:
    first, second = hold(cards, "a"), hold(cards, "b")
    wait_until(lambda: len(begun(cards)) == 2)
    third = hold(cards, "c")
    time.sleep(0.2)
    card = next(name for name in begun(cards) if name.endswith(".a")).split(".")[0]
    first.kill()
    wait_until(lambda: f"{card}.c" in begun(cards))
    assert end(cards, third, "c") == card
    end(cards, second, "b")


def test_a_waiting_client_can_be_ended(cards: House) -> None:
    others = [hold(cards, "a"), hold(cards, "b")]
    wait_until(lambda: len(begun(cards)) == 2)
    waiting = [hold(cards, "c"), hold(cards, "d")]  # one looks for a card, the other stands behind it
    time.sleep(0.3)
    for client in waiting:
        client.terminate()
    assert {client.wait(20) for client in waiting} <= {130, -signal.SIGTERM}  # the latter where it has hardly begun
    for name, client in zip("ab", others, strict=True):
        end(cards, client, name)
    assert len(begun(cards)) == 2


def test_each_card_keeps_its_own_worker_warm(cards: House) -> None:
    for name in "abcdef":
        (cards.folder / f"end.{name}").touch()
    clients = [hold(cards, name) for name in "abcdef"]
    served = {client.communicate(timeout=20)[0] for client in clients}
    assert {line.split()[0] for line in served} <= {"0", "1"}
    assert len(served) == len({line.split()[0] for line in served})  # one process for each card


def test_cards_are_the_first_that_cuda_is_shown(cards: House) -> None:
    shown = {"CUDA_VISIBLE_DEVICES": "GPU-x,7,GPU-z"}
    clients = {name: hold(cards, name, **shown) for name in "ab"}
    wait_until(lambda: len(begun(cards)) == 2)
    assert {end(cards, client, name) for name, client in clients.items()} == {"GPU-x", "7"}


def test_several_cards_asked_for_and_one_shown_share_its_worker(cards: House) -> None:
    (cards.folder / "end.a").touch(), (cards.folder / "end.b").touch()
    clients = [hold(cards, name, CUDA_VISIBLE_DEVICES="3") for name in "ab"]
    lines = {client.communicate(timeout=20)[0] for client in clients}
    assert len(lines) == 1 and lines.pop().startswith("3 ")


def test_status_and_stop_speak_of_all_workers_of_the_run(cards: House) -> None:
    cards.warm("--load", "count", UNCHOKE_CARDS="2")
    assert cards.warm("count")[1] == "1\n"  # another run, with a worker of its own
    told = cards.warm("--status", UNCHOKE_CARDS="2")[1].splitlines()
    assert ["card 0" in line or "card 1" in line for line in told] == [True, True]
    assert len(workers(cards)) == 3  # from a terminal: all of the clone
    assert cards.warm("--stop", UNCHOKE_CARDS="2")[1].count("ends") == 2
    wait_until(lambda: cards.warm("--status", UNCHOKE_CARDS="2")[1] == "no worker\n")
    assert cards.warm("count")[1] == "2\n"
    assert cards.warm("--stop")[1].count("ends") == 1


def test_a_terminal_does_not_speak_to_the_workers_of_slurm_jobs(cards: House) -> None:
    cards.warm("count", SLURM_JOB_ID="7", CUDA_VISIBLE_DEVICES="0")
    assert cards.warm("--status")[1] == cards.warm("--status", SLURM_JOB_ID="77")[1] == "no worker\n"
    assert "ends" in cards.warm("--stop", SLURM_JOB_ID="7")[1]


def socket_of(house: House) -> str:
    return next(str(file) for file in (house.folder / f"unchoke-{os.getuid()}").iterdir() if file.is_socket())


def test_a_stopped_worker_is_named_and_after_a_while_done_without(house: House) -> None:
    house.warm("count")
    worker = house.worker()
    os.kill(worker, signal.SIGSTOP)
    status, out, err = house.warm("count", UNCHOKE_WARM_PATIENCE_S="9")
    assert (status, out) == (0, "1\n")  # in a process of its own
    assert f"waiting: for the worker, pid {worker} (stopped), since 20" in err and "it does not answer" in err
    os.kill(worker, signal.SIGCONT)
    assert house.warm("say", "x")[0] == 0


def test_a_busy_worker_is_waited_for_beyond_all_patience(house: House) -> None:
    (house.folder / "scripts" / "slow.py").write_text("import time\ndef main(argv):\n    time.sleep(8)")
    slow = house.start("slow", **BIRDS)
    wait_until(lambda: "runs slow" in house.warm("--status")[1])
    assert house.warm("count", UNCHOKE_WARM_PATIENCE_S="0.1", **BIRDS) == (0, "1\n", "")
    assert slow.wait(20) == 0 and house.warm("count")[1] == "2\n"


def test_who_drips_or_says_nothing_delays_nobody(house: House) -> None:
    house.warm("count")
    clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for client in clients:
        client.connect(socket_of(house))
    clients[0].sendall(b"\0\0")
    clients[1].sendall(struct.pack("!I", 99) + b"st")
    started = time.monotonic()
    assert house.warm("count")[1] == "2\n"
    assert time.monotonic() - started < 4  # a message may take 5 s
    while time.monotonic() - started < 5.5:
        for client in clients[:2]:
            with contextlib.suppress(OSError):
                client.sendall(b"\0")
        time.sleep(0.5)
    for client in clients:
        with contextlib.suppress(ConnectionResetError):
            assert (client.recv(99), client.recv(99)) == (b"ready\n", b"")  # refused, however busily it drips
        client.close()


def whole(*fields: bytes) -> bytes:
    message = b"\0".join(fields)
    return struct.pack("!I", len(message)) + message


COUNT = (b"count", b"/", b"1", b"", b"")


@pytest.mark.parametrize(
    ("message", "descriptors"),
    [
        (whole(*COUNT), 1),
        (whole(*COUNT), 3),
        (whole(*COUNT), 40),
        (whole(*COUNT), 0),
        (whole(b"count"), 2),
        (whole(b"nope", b"/", b"1", b"", b""), 2),
        (whole(b"status"), 2),
        (whole(b"status", b"more"), 0),
        (whole(b"dance"), 0),
        (whole(b"load"), 0),
        (whole(b"load", b"../x"), 0),
        (whole(b""), 0),
        (b"\xff\xff\xff\xff" + b"x" * 99, 2),
        (b"\x7f\xff\xff\xff", 0),
        (whole(*COUNT) + b"more", 2),
        (b"GET / HTTP/1.1\r\n\r\n", 0),
        (b"\0\0", 2),
    ],
)
def test_a_wrong_request_neither_ends_the_worker_nor_leaves_descriptors(
    house: House, message: bytes, descriptors: int
) -> None:
    house.warm("count")
    worker = house.worker()
    before = len(os.listdir(f"/proc/{worker}/fd"))
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(socket_of(house))
            if descriptors:
                socket.send_fds(client, [message], [2] * descriptors)
            else:
                client.sendall(message)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert (client.recv(99), client.recv(99)) == (b"ready\n", b"")
    assert house.warm("count")[1] == "2\n" and house.worker() == worker
    wait_until(lambda: len(os.listdir(f"/proc/{worker}/fd")) <= before)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("UNCHOKE_WARM_IDLE_S", value) for value in ("abc", "0", "-1", "nan", "inf")),
        *(("UNCHOKE_WARM_PATIENCE_S", value) for value in ("abc", "0")),
        *(("UNCHOKE_CARDS", value) for value in ("abc", "-1", "1.5")),
        ("XDG_RUNTIME_DIR", "relative"),
        ("UNCHOKE_WARM_LOG", "/proc/nothing/log"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(house: House, name: str, value: str) -> None:
    status, out, err = house.warm("count", **{name: value})
    assert (status, out) == (1, "") and name in err and value in err and "Traceback" not in err


@pytest.mark.parametrize("plant", ["file", "dangling link", "folder of all", "missing"])
def test_what_has_the_place_of_the_sockets_folder_is_named(house: House, plant: str) -> None:
    folder = house.folder / f"unchoke-{os.getuid()}"
    more = {}
    if plant == "file":
        folder.touch()
    elif plant == "dangling link":
        folder.symlink_to(house.folder / "nothing")
    elif plant == "folder of all":
        folder.mkdir()
        folder.chmod(0o777)
    else:
        more = {"XDG_RUNTIME_DIR": "/proc/nothing"}
    status, out, err = house.warm("count", **more)
    assert (status, out) == (1, "") and "set XDG_RUNTIME_DIR to a folder of your own" in err and "Traceback" not in err
    if plant != "missing":
        folder.rmdir() if folder.is_dir() else folder.unlink()


@pytest.mark.parametrize("warm", ["1", "0"])
def test_output_that_nobody_reads_ends_a_command_in_silence(house: House, warm: str) -> None:
    (house.folder / "scripts" / "much.py").write_text("def main(argv):\n    for n in range(10**6):\n        print(n)\n")
    client = house.start("much", UNCHOKE_WARM=warm)
    assert client.stdout and client.stderr and client.stdout.readline() == "0\n"
    client.stdout.close()
    assert client.wait(20) == 141 and client.stderr.read() == ""
    assert house.warm("count")[1] == "1\n"


@pytest.mark.parametrize("warm", ["1", "0"])
@pytest.mark.parametrize(
    "code",
    [
        "raise MemoryError('Unable to allocate 7 GiB')",
        "raise ImportError('libtorch_cpu.so: failed to map segment from shared object')",
        "def main(argv):\n    bytearray(2**62)",
    ],
)
def test_too_little_memory_is_a_message(house: House, warm: str, code: str) -> None:
    (house.folder / "scripts" / "large.py").write_text(code)
    status, _, err = house.warm("large", UNCHOKE_WARM=warm)
    assert status == 1 and "gives this process no more memory" in err and "ulimit -v" in err
    assert "Traceback" not in err
