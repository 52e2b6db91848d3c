"""Shards by real runs of Snakemake: the same features as chunks of their own, and nothing made twice after a kill."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from conftest import FLAWED, Clone, jobs, make_clone, write_png
from numpy.typing import NDArray
from PIL import Image

from unchoke.sources.kinds.digits import digit_files
from unchoke.store.chunks import chunk_file
from unchoke.store.read import open_complete
from unchoke.store.zarr_bytes import encode_chunk

pytestmark = pytest.mark.xdist_group("shards")

ONE = {"chunk_size": 2, "heads": {}}  # 47 images in 24 chunks
SHARDS = {**ONE, "chunks_per_shard": 10}  # of 10, 10 and 4 chunks
STORE = "features/tiny.zarr"
TARGET = f"results/few/{STORE}/zarr.json"
SIDE_PX = 700  # decoded slowly enough for a run to be killed in the middle of a shard


@pytest.fixture(scope="module")
def chunks(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone whose store has a file for each chunk."""
    clone = make_clone(tmp_path_factory.mktemp("chunks") / "clone", **ONE)
    for file in (clone.folder / "images").rglob("*.png"):
        if str(file.relative_to(clone.folder / "images")) != FLAWED[0]:
            write_png(file, np.asarray(Image.open(file).convert("L").resize((SIDE_PX, SIDE_PX))))
    clone.snakemake("--cores", "2", TARGET)
    return clone


@pytest.fixture(scope="module")
def shards(chunks: Clone, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, list[Path]]:
    """The same after the config has asked for shards, and the drafts that were there when the first run was killed."""
    clone = chunks.copy_to(tmp_path_factory.mktemp("shards") / "clone").with_own_worker()
    clone.configure(**SHARDS)
    drafts = kill_with_drafts(clone, at_least=2)
    assert jobs(clone.snakemake("--cores", "2", TARGET), "extract_chunk") <= 3
    return clone, drafts


def arrays(clone: Clone) -> dict[str, NDArray[np.generic]]:
    store = zarr.open_group(clone.results / STORE, mode="r")
    return {name: np.asarray(store[name][:]) for name in ("avg", "max", "valid")}


def test_shards_hold_the_bits_that_chunks_hold(chunks: Clone, shards: tuple[Clone, list[Path]]) -> None:
    expected, found = arrays(chunks), arrays(shards[0])
    assert {name: values.tobytes() for name, values in found.items()} == {n: v.tobytes() for n, v in expected.items()}
    assert (len(found["avg"]), int(found["valid"].sum())) == (47, 46)
    array = zarr.open_group(shards[0].results / STORE, mode="r")["avg"]
    assert (array.chunks[0], array.shards[0]) == (2, 20)


def test_a_run_that_was_killed_in_a_shard_goes_on_inside_it(chunks: Clone, shards: tuple[Clone, list[Path]]) -> None:
    clone, drafts = shards
    said = (clone.folder / f"logs/few/extract_chunk/tiny/{drafts[0].parent.name}.log").read_text()
    assert f"took up {len(drafts)} of 10 chunks that a killed job had made" in said
    assert not (clone.results / "features/tiny.drafts").exists()
    for name, values in arrays(chunks).items():
        whole = np.concatenate([values, np.zeros((60 - len(values), *values.shape[1:]), values.dtype)])
        for shard in range(3):
            file = chunk_file(clone.results / STORE, name, shard)
            assert file.read_bytes() == encode_chunk(whole[20 * shard : 20 * shard + 20], 10)
        assert len(list(file.parents[values.ndim - 1].iterdir())) == 3


def kill_with_drafts(clone: Clone, at_least: int) -> list[Path]:
    """SIGKILL to Snakemake, its jobs and the worker in the middle of a shard; the drafts that are left."""
    run = subprocess.Popen(
        clone.command("--cores", "2", TARGET), cwd=clone.folder, start_new_session=True, env=clone.environment
    )
    folder = clone.results / "features/tiny.drafts"
    while len(list(folder.rglob("*.draft"))) < at_least:
        assert run.poll() is None, "snakemake ended before there were drafts"
        time.sleep(0.002)
    for worker in worker_pids(clone):
        os.kill(worker, signal.SIGKILL)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(60)
    drafts = list(folder.rglob("*.draft"))
    assert at_least <= len(drafts) < 10
    return drafts


def worker_pids(clone: Clone) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, place = (folder / "cmdline").read_bytes(), (folder / "cwd").readlink()
        except OSError:
            continue
        if b"unchoke.machine.worker" in command and place.is_relative_to(clone.folder):
            found.append(int(folder.name))
    return found


def test_new_images_cost_the_last_shard_alone(shards: tuple[Clone, list[Path]], tmp_path: Path) -> None:
    clone = shards[0].copy_to(tmp_path / "clone")
    before, kept = arrays(clone), clone.times(f"{STORE}/*/c/[01]/0")
    clone.add_images([sorted(name for name in digit_files() if name.startswith("1/"))[30]])
    assert jobs(clone.snakemake("--cores", "2", TARGET), "extract_chunk") == 1
    sealed = open_complete(clone.results / STORE)
    assert [len(digests) for digests in sealed.seal["sha256"].values()] == [3, 3, 3]  # shards of pools and validity
    assert clone.times(f"{STORE}/*/c/[01]/0") == kept
    after = arrays(clone)
    assert len(after["avg"]) == 48
    for name, values in before.items():
        np.testing.assert_array_equal(after[name][:47], values)


def test_a_batch_of_the_seal_is_its_part_of_the_chunks_alone(chunks: Clone) -> None:
    """Of 24 files of each of two pools and the manifest, in the order of their names: 13 of the first pool."""
    output = chunks.snakemake("-n", TARGET, "--batch", "seal_features=1/4", "--forcerun", "extract_chunk_tiny")
    assert (jobs(output, "extract_chunk"), jobs(output, "seal_features")) == (13, 0)
