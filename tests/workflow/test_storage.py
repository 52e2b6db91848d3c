"""A shared folder that is slow: two processes, as on two nodes, write one store at once."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from unchoke.store import chunks

N_CHUNKS, CHUNK_SIZE = 12, 8
SHAPES = {"avg": [CHUNK_SIZE, 4], "valid": [CHUNK_SIZE]}
# Read by Python itself at its start: every call that would go to a file server takes a while.
SLOW_FILES = """
import builtins, io, os, random, time

def slow(call, longest_s, random=random.Random(os.getpid())):
    def wait_and_call(*arguments, **options):
        before, behind = random.uniform(0, longest_s), random.uniform(0, longest_s)
        time.sleep(before)
        done = call(*arguments, **options)
        time.sleep(behind)
        return done
    return wait_and_call

def write_slowly():
    os.replace, os.rename = slow(os.replace, 0.01), slow(os.rename, 0.01)
    os.fsync, os.mkdir = slow(os.fsync, 0.01), slow(os.mkdir, 0.01)
    io.open = builtins.open = slow(io.open, 0.003)

if "SLOW_FILES" in os.environ:
    write_slowly()
"""
# Each node writes its own half, and then what the other may be writing still: as when a job is given to a second node
# while the first, of which nothing was heard, goes on.
NODE = """
import os, sys
from pathlib import Path
from test_storage import N_CHUNKS, write_chunk
assert os.replace.__name__ == os.fsync.__name__ == "wait_and_call"
store, node = Path(sys.argv[1]), int(sys.argv[2])
for chunk in [*range(node, N_CHUNKS, 2), *range(1 - node, N_CHUNKS, 2)]:
    write_chunk(store, chunk)
"""


def write_chunk(store: Path, chunk: int) -> None:
    values = np.random.default_rng(chunk).normal(size=SHAPES["avg"]).astype(np.float16)
    arrays = {"avg": values, "valid": np.ones(CHUNK_SIZE, bool)}
    chunks.write_chunk(store, chunk, arrays, {"settings": {}})


def seal(store: Path) -> None:
    chunks.seal(store, N_CHUNKS * CHUNK_SIZE, SHAPES, {"settings": {}}, {"invalid": []})


def promised(store: Path) -> dict[str, str]:
    """Digests of the files whose bytes are promised: the store's and its seal."""
    files = [*(file for file in store.rglob("*") if file.is_file()), chunks.seal_file(store)]
    return {str(file.relative_to(store.parent)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def start_node(tmp_path: Path, store: Path, node: int) -> "subprocess.Popen[bytes]":
    (tmp_path / "sitecustomize.py").write_text(SLOW_FILES)
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": paths, "SLOW_FILES": "1"}
    return subprocess.Popen([sys.executable, "-c", NODE, str(store), str(node)], env=environment)


def whole_chunks(store: Path) -> int:
    """How many chunks a reader finds, each of them whole, while they are being written."""
    files = [chunks.chunk_file(store, "avg", chunk) for chunk in range(N_CHUNKS)]
    there = [chunk for chunk, file in enumerate(files) if file.exists()]
    for chunk in there:
        chunks.read_chunk(store, chunk)
    return len(there)


def test_two_nodes_on_slow_storage_give_the_store_of_one(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone" / "tiny.zarr", tmp_path / "shared" / "tiny.zarr"
    for chunk in range(N_CHUNKS):
        write_chunk(alone, chunk)
    seal(alone)
    nodes = [start_node(tmp_path, shared, node) for node in range(2)]
    seen = set()
    while any(node.poll() is None for node in nodes):
        seen.add(whole_chunks(shared))
        time.sleep(0.01)
    assert [node.returncode for node in nodes] == [0, 0]
    assert len(seen & set(range(1, N_CHUNKS))) > 1  # the reader did look on while they wrote
    seal(shared)
    assert promised(shared) == promised(alone)
