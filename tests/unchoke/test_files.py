"""Files are whole or not there."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.files import (
    disk_error,
    json_bytes,
    open_temporary_file,
    synced_together,
    write_atomic,
    write_if_changed,
)

OUTGROW_THE_LIMIT = """
import resource, sys
from pathlib import Path
from unchoke.files import write_atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_atomic(Path(sys.argv[1]), bytes(5000))
"""

BE_KILLED = """
import os, signal, sys
from pathlib import Path
from unchoke.files import write_atomic
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
write_atomic(Path(sys.argv[1]), bytes(5000))
"""


def fail_with(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("sync", [True, False])
def test_a_file_is_put_in_its_place_and_nothing_beside_it(tmp_path, sync):
    path = tmp_path / "new" / "folder" / "file.bin"
    write_atomic(path, b"first", sync=sync)
    write_atomic(path, b"second", sync=sync)
    assert path.read_bytes() == b"second"
    assert os.listdir(path.parent) == ["file.bin"]


def test_a_write_that_the_system_cuts_short_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    result = subprocess.run([sys.executable, "-c", OUTGROW_THE_LIMIT, path], capture_output=True, text=True)
    assert result.returncode == 1
    assert "UnchokeError" in result.stderr
    assert str(path) in result.stderr
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_the_old_file_alone_and_is_named(tmp_path, monkeypatch, number):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", fail_with(number))
    with pytest.raises(UnchokeError, match=r"(?i)disk") as caught:
        write_atomic(path, b"new")
    assert str(path) in str(caught.value)
    assert os.strerror(number) in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_an_interruption_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file.bin", b"new")
    assert os.listdir(tmp_path) == []


def test_the_temporary_file_of_a_killed_process_is_taken_over(tmp_path):
    path = tmp_path / "file.bin"
    assert subprocess.run([sys.executable, "-c", BE_KILLED, path], check=False).returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_two_that_write_the_same_file_at_once_do_not_mix(tmp_path):
    path = tmp_path / "file.bin"
    with open_temporary_file(path) as first:
        first.write(b"the first")
        write_atomic(path, b"the second")
        assert path.read_bytes() == b"the second"
        first.flush()
        Path(first.name).replace(path)
    assert path.read_bytes() == b"the first"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_a_file_system_without_locks_will_do(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", fail_with(errno.ENOSYS))
    temporary = tmp_path / f".file.bin.{os.uname().nodename}.tmp"
    temporary.write_bytes(b"somebody's file")
    write_atomic(tmp_path / "file.bin", b"new")
    assert (tmp_path / "file.bin").read_bytes() == b"new"
    assert temporary.read_bytes() == b"somebody's file"


def plant_link(temporary, theirs):
    temporary.symlink_to(theirs)


def plant_dangling_link(temporary, theirs):
    temporary.symlink_to(theirs.with_name("nothing"))


def plant_hard_link(temporary, theirs):
    temporary.hardlink_to(theirs)


def plant_pipe(temporary, theirs):
    os.mkfifo(temporary)


def plant_read_pipe(temporary, theirs):
    """A pipe that somebody reads can be opened for writing at once."""
    os.mkfifo(temporary)
    os.open(temporary, os.O_RDONLY | os.O_NONBLOCK)


def plant_socket(temporary, theirs):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(temporary))


def plant_folder(temporary, theirs):
    """As a file of another user does, it refuses to be written to; root may write to all files."""
    temporary.mkdir()


PLANTED = [
    *(plant_link, plant_dangling_link, plant_hard_link, plant_pipe, plant_read_pipe, plant_socket, plant_folder),
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_what_has_the_name_of_a_temporary_file_and_is_none_stays_as_it_is(tmp_path, monkeypatch, plant):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    theirs, temporary = Path("theirs"), Path(f".file.{os.uname().nodename}.tmp")
    theirs.write_bytes(b"of value")
    plant(temporary, theirs.absolute())
    before = temporary.lstat()
    process = os.fork()
    if not process:
        signal.alarm(5)  # which ends a process that waits at a pipe
        try:
            write_atomic(Path("file"), b"new")
        finally:
            os._exit(0)
    assert os.waitpid(process, 0)[1] == 0
    assert Path("file").read_bytes() == b"new"
    assert theirs.read_bytes() == b"of value"
    assert os.path.samestat(before, temporary.lstat())
    assert sorted(os.listdir()) == sorted(["theirs", str(temporary), "file"])


def test_the_temporary_file_of_another_user_is_left_alone(tmp_path, monkeypatch):
    temporary = tmp_path / f".file.{os.uname().nodename}.tmp"
    temporary.write_bytes(b"of value")
    monkeypatch.setattr(os, "geteuid", lambda: temporary.stat().st_uid + 1)
    write_atomic(tmp_path / "file", b"new")
    assert temporary.read_bytes() == b"of value"


@pytest.mark.parametrize("target", ["there", "nothing"])
def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(tmp_path, target):
    (tmp_path / "there").write_bytes(b"of value")
    (tmp_path / "file").symlink_to(tmp_path / target)
    write_atomic(tmp_path / "file", b"new")
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "there").read_bytes() == b"of value"
    assert sorted(os.listdir(tmp_path)) == ["file", "there"]


def test_a_file_system_without_inodes_is_told_from_a_full_one(tmp_path, monkeypatch):
    real = os.statvfs(tmp_path)
    none_left = os.statvfs_result((4096, 4096, 9000, 1792, 1792, 512, 0, 0, *real[8:]))
    monkeypatch.setattr(os, "statvfs", lambda _: none_left)
    monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(UnchokeError, match=r"all its inodes are in use[^$]*0 of 512 inodes free"):
        write_atomic(tmp_path / "file", b"new")


@pytest.mark.parametrize("files", [(0, 0, 0), (512, 3, 3)])  # btrfs counts no inodes
def test_a_full_disk_is_one_where_inodes_are_left_or_not_counted(tmp_path, monkeypatch, files):
    real = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((4096, 4096, 9000, 1792, 1792, *files, *real[8:])))
    monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(UnchokeError, match=r"The disk is full[^$]*7 MB free"):  # 1792 × 4096 bytes
        write_atomic(tmp_path / "file", b"new")


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path, monkeypatch):
    """Root may look into all folders, so the system calls that would fail do it here."""
    real = os.statvfs

    def refuse(folder):
        if Path(folder).is_relative_to(tmp_path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(folder)

    monkeypatch.setattr(os, "statvfs", refuse)
    found = disk_error(PermissionError(errno.EACCES, "Permission denied"), tmp_path / "locked" / "file")
    assert isinstance(found, UnchokeError) and str(tmp_path / "locked" / "file") in str(found)


def test_the_temporary_file_of_another_machine_is_left_alone(tmp_path, monkeypatch):
    with open_temporary_file(tmp_path / "file.bin") as first:
        first.write(b"of one machine")
        monkeypatch.setattr(fcntl, "flock", lambda *_: None)  # which the other does not hear of
        uname = os.uname()
        monkeypatch.setattr(os, "uname", lambda: os.uname_result((uname[0], "another", *uname[2:])))
        write_atomic(tmp_path / "file.bin", b"of the other")
        first.flush()
        assert (tmp_path / "file.bin").read_bytes() == b"of the other"


def test_an_error_that_is_not_about_the_disk_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", fail_with(errno.EIO))
    with pytest.raises(OSError) as caught:
        write_atomic(tmp_path / "file.bin", b"new")
    assert caught.value.errno == errno.EIO


def test_the_same_content_keeps_the_time_of_its_file(tmp_path):
    path = tmp_path / "file.bin"
    assert write_if_changed(path, b"content")
    os.utime(path, ns=(1, 1))
    assert not write_if_changed(path, b"content")
    assert path.stat().st_mtime_ns == 1
    assert write_if_changed(path, b"other")
    assert path.read_bytes() == b"other"
    assert path.stat().st_mtime_ns > 1


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.lists(st.booleans())))
def test_json_says_the_same_in_the_same_bytes(value):
    data = json_bytes(value)
    assert json.loads(data) == value
    assert data == json_bytes(dict(reversed(value.items())))
    assert data.endswith(b"\n")


def test_what_is_written_together_is_on_the_disk_at_the_end_file_and_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = [], os.fsync

    def note(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    gone, kept = tmp_path / "a/gone", [tmp_path / "a/one", tmp_path / "b/two"]
    with synced_together():
        for path in (gone, *kept):
            write_atomic(path, b"data")
        write_atomic(tmp_path / "c/cheap", b"data", sync=False)
        gone.unlink()
        assert not synced
    assert sorted(synced) == sorted(map(str, [*kept, tmp_path / "a", tmp_path / "b"]))
    synced.clear()
    write_atomic(kept[0], b"more")
    assert len(synced) == 2


def test_after_a_failure_among_what_is_written_together_files_are_synced_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyError), synced_together():
        raise KeyError
    monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(UnchokeError, match="disk is full"):
        write_atomic(tmp_path / "one", b"data")
