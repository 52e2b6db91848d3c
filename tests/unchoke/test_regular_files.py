"""Pipes, devices, sockets and endless files where a user's file should be end no run and take no memory."""

import os
import socket
from pathlib import Path

import pytest
import torch

from unchoke.encoders.teacher import load_teacher
from unchoke.encoders.weights import fetch_weights
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.images.decode import read_image_file
from unchoke.images.given import read_picture
from unchoke.images.windows import image_size, open_image, open_mask
from unchoke.regular_files import MOST_BYTES, open_regular, read_regular
from unchoke.sources.arrays.array import open_located
from unchoke.sources.arrays.npy import open_npy
from unchoke.sources.arrays.values import read_values
from unchoke.sources.kinds import csv
from unchoke.sources.locations import Location
from unchoke.sources.tar_members import members_of
from unchoke.store.checkpoints import read_checkpoint_file


def bound(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


def sparse(path):
    path.touch()
    os.truncate(path, 20 * 10**9)


SPECIAL = {
    "a named pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": bound,
    "a folder": Path.mkdir,
}
READERS = {
    "image": (read_image_file, UnreadableImageError),
    "picture": (lambda path: read_picture(path, max_pixels=10**6), UnreadableImageError),
    "window": (lambda path: open_image(path, 10**6), UnreadableImageError),
    "mask": (lambda path: open_mask(path, 10**6), UnreadableImageError),
    "size": (image_size, UnreadableImageError),
    "table": (lambda path: csv.read_rows(path, ["path"], None), UnchokeError),
    "column": (lambda path: read_values(path.parent, Location(path.name, "y"), open_npy), UnchokeError),
    "shard": (members_of, UnchokeError),
    "array": (lambda path: open_located(path.parent, Location(path.name, ""), open_npy), UnchokeError),
    "weights": (lambda path: fetch_weights("test_resnet", str(path), 0, path, path), UnchokeError),
    "checkpoint": (lambda path: read_checkpoint_file(path, "head", 1, []), UnchokeError),
    "teacher": (lambda path: load_teacher(path, path, 32, 2, False, torch.device("cpu")), UnchokeError),
}
MAPPED = {"shard", "array", "weights", "checkpoint", "teacher"}  # which may be larger than what is read whole


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "x.csv"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_regular_file_is_named_and_never_waited_for(place, kind, reader):
    SPECIAL[kind](place)
    read, error = READERS[reader]
    with pytest.raises(error, match=rf"{kind}, not a (regular )?file"):
        read(place)


@pytest.mark.parametrize("reader", sorted(READERS.keys() - MAPPED))
def test_a_file_of_20_gb_is_refused_unread(place, reader):
    sparse(place)
    read, error = READERS[reader]
    with pytest.raises(error, match=r"20\.0 GB, above the \d GiB that are read whole"):
        read(place)


def test_a_regular_file_is_read_up_to_the_limit(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("a")
    assert read_regular(tmp_path / "link", 5) == b"12345"
    with pytest.raises(OSError, match="above"):
        read_regular(tmp_path / "a", 4)
    with open_regular(tmp_path / "a") as file:
        assert file.read() == b"12345"
    assert MOST_BYTES == 2**30
