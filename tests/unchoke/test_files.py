"""Files are whole or not there."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.files import json_bytes, open_draft, read_json, write_atomic, write_if_changed

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


def test_an_interruption_leaves_no_draft(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file.bin", b"new")
    assert os.listdir(tmp_path) == []


def test_the_draft_of_a_killed_process_is_taken_over(tmp_path):
    path = tmp_path / "file.bin"
    assert subprocess.run([sys.executable, "-c", BE_KILLED, path], check=False).returncode == -signal.SIGKILL
    assert len(os.listdir(tmp_path)) == 1
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_two_that_write_the_same_file_at_once_do_not_mix(tmp_path):
    path = tmp_path / "file.bin"
    with open_draft(path) as first:
        first.write(b"the first")
        write_atomic(path, b"the second")
        assert path.read_bytes() == b"the second"
        first.flush()
        Path(first.name).replace(path)
    assert path.read_bytes() == b"the first"
    assert os.listdir(tmp_path) == ["file.bin"]


def test_a_file_system_without_locks_will_do(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", fail_with(errno.ENOSYS))
    draft = tmp_path / f".file.bin.{os.uname().nodename}.tmp"
    draft.write_bytes(b"somebody's draft")
    write_atomic(tmp_path / "file.bin", b"new")
    assert (tmp_path / "file.bin").read_bytes() == b"new"
    assert draft.read_bytes() == b"somebody's draft"


def test_what_has_the_name_of_a_draft_and_is_none_stays_as_it_is(tmp_path):
    """A link to somebody's file; or a draft of another user, here a folder, since root may write to all files."""
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"of value")
    (tmp_path / f".linked.{os.uname().nodename}.tmp").symlink_to(theirs)
    (tmp_path / f".refused.{os.uname().nodename}.tmp").mkdir()
    for name in ("linked", "refused"):
        write_atomic(tmp_path / name, b"new")
        assert (tmp_path / name).read_bytes() == b"new"
    assert theirs.read_bytes() == b"of value"
    assert len(os.listdir(tmp_path)) == 5


def test_the_draft_of_another_machine_is_left_alone(tmp_path, monkeypatch):
    with open_draft(tmp_path / "file.bin") as first:
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


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_file_that_is_not_json_is_named(tmp_path, content):
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(UnchokeError, match=r"record\.json"):
        read_json(tmp_path / "record.json")
