"""The stage of fingerprints: from files and arrays to a sealed store."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from one_fingerprint import fingerprint
from PIL import Image
from sklearn.datasets import load_digits

from unchoke import versions
from unchoke.cleaning.fingerprint import Fingerprinting, fingerprint_chunk, save_fingerprints
from unchoke.cleaning.measures import MEASURES, fingerprint_batch
from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.sources.source import Content, read_images
from unchoke.store import chunks, tables
from unchoke.store.read import open_complete
from unchoke.store.seal import seal_store

# By version: SHA-256 of the hashes and measures of two digits. Version 2 reads some kinds of TIFF, sparse members of
# tar and rows without stored bytes as they are; PNG files have the fingerprints of version 1.
GOLDEN = {2: "b7415b9e020399e6e81a0bc816481cfc784c8a8eefe6a62f8499138ddfbf3bce"}
# The same of noise in several sizes: whole rows of boxes and not, several blocks of images, several bands of one image.
GOLDEN_SIZES = {2: "b229431bd51edbc4e92fe08a29e448af7c83e5c35b1c8bba2dd012731b520860"}
SIZES = [(20, 96, 96), (2, 33, 40), (1, 512, 300), (2, 64, 1), (1, 224, 224)]
SETTINGS = Fingerprinting(chunk_size=6, rows_files=2, max_pixels=10**6)
MEMORY_MB = 4000


def picture(seed: int, height: int = 20, width: int = 24) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def write_picture(path: Path, rgb_HW3: NDArray[np.uint8]) -> None:
    data = io.BytesIO()
    Image.fromarray(rgb_HW3).save(data, path.suffix[1:])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.getvalue())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight pictures of two classes and three sizes, one of them broken, and one empty file."""
    root = tmp_path / "images"
    for seed in range(8):
        write_picture(root / str(seed % 2) / f"{seed}.png", picture(seed, 20 + seed // 3))
    (root / "0/8.png").write_bytes(b"")
    (root / "1/9.png").write_bytes((root / "1/1.png").read_bytes()[:200])
    return root


def manifest_of(root: Path, results: Path) -> pd.DataFrame:
    build_manifest("folder", root, None, SplitSettings(0, 0.2, 0.2), 3, results / "manifest.csv", results / "rows")
    return tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS)


def make_store(root: Path, results: Path, order: list[int], memory_mb: int = MEMORY_MB) -> Path:
    """Every chunk, in this order, and the seal."""
    store = results / "fingerprints.zarr"
    for chunk in order:
        files = tables.rows_files(results / "rows", chunk, SETTINGS.rows_files)
        rows = [tables.read_table(file, tables.ROW_COLUMNS) for file in files]
        together = pd.concat(rows, ignore_index=True)
        found = fingerprint_chunk(together, "folder", root, SETTINGS.max_pixels, memory_mb)
        save_fingerprints(store, chunk, together, files, found, SETTINGS)
    seal_store(store, results / "manifest.csv", results / "rows")
    return store


def test_a_row_is_the_fingerprint_of_its_image(folder: Path, tmp_path: Path) -> None:
    frame = manifest_of(folder, tmp_path)
    opened = open_complete(make_store(folder, tmp_path, [0, 1]))
    hashes, measures = opened.features(chunks.HASHES), opened.features(chunks.MEASURES)
    broken = {"0/8.png": "empty file", "1/9.png": "broken image"}
    for image_id, path in zip(frame["image_id"], frame["path"], strict=True):
        assert opened.valid()[image_id] == (path not in broken)
        if path not in broken:
            hash_3, measure_6 = fingerprint(np.asarray(Image.open(folder / path).convert("RGB")))
            np.testing.assert_array_equal(hashes[image_id], hash_3)
            np.testing.assert_array_equal(measures[image_id], measure_6)
    reasons = {frame["path"][entry["image_id"]]: entry["reason"] for entry in opened.seal["invalid"]}
    assert reasons.keys() == broken.keys()
    assert all(reasons[path].startswith(broken[path]) for path in broken)


def test_neither_order_nor_memory_moves_a_byte(folder: Path, tmp_path: Path) -> None:
    seals = []
    for name, order, memory_mb in (("a", [0, 1], MEMORY_MB), ("b", [1, 0], 1)):
        manifest_of(folder, tmp_path / name)
        store = make_store(folder, tmp_path / name, order, memory_mb)
        seals.append(sha256_bytes(chunks.seal_file(store).read_bytes()))
    assert seals[0] == seals[1]


def test_the_encoding_of_a_file_says_nothing(tmp_path: Path) -> None:
    for ending in ("png", "bmp", "tiff"):
        write_picture(tmp_path / f"one.{ending}", picture(3))
    rows = pd.DataFrame({"path": ["one.png", "one.bmp", "one.tiff"], "size_bytes": 1})
    found = fingerprint_chunk(rows, "folder", tmp_path, 10**6, MEMORY_MB)
    assert len(np.unique(found.hashes, axis=0)) == 1


def test_the_batch_follows_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of arrays are read in slices: of one image where memory is short, of many where it is not."""
    asked: list[int] = []
    np.save(tmp_path / "x.npy", np.stack([picture(seed) for seed in range(12)]))

    def counted(kind: str, root: Path, paths: list[str]) -> Iterator[Content]:
        asked.append(len(paths))
        return read_images(kind, root, paths)

    monkeypatch.setattr("unchoke.cleaning.fingerprint.read_images", counted)
    rows = pd.DataFrame({"path": [f"x.npy[{row}]" for row in range(12)], "size_bytes": 2**16})
    short = fingerprint_chunk(rows, "npy", tmp_path, 10**6, 1)
    assert asked == [1] * 12
    asked.clear()
    ample = fingerprint_chunk(rows, "npy", tmp_path, 10**6, MEMORY_MB)
    assert asked == [12]
    np.testing.assert_array_equal(short.hashes, ample.hashes)


@pytest.mark.parametrize("gone", [[], [""]], ids=["slices", "an image without a file"])
def test_rows_of_arrays_have_the_fingerprints_of_their_pixels(tmp_path: Path, gone: list[str]) -> None:
    """Grey and colour, neighbours and not, and a row behind the last one beside rows that are there."""
    rgb_N, grey_HW = np.stack([picture(seed) for seed in range(5)]), picture(9)[:, :, 0]
    np.save(tmp_path / "x.npy", rgb_N)
    np.save(tmp_path / "g.npy", grey_HW[None])
    names = ["x.npy[1]", "x.npy[2]", "x.npy[4]", "x.npy[5]", "g.npy[0]", "x.npy[0]", *gone]
    found = fingerprint_chunk(pd.DataFrame({"path": names, "size_bytes": 1}), "npy", tmp_path, 10**6, MEMORY_MB)
    expected = {0: rgb_N[1], 1: rgb_N[2], 2: rgb_N[4], 4: np.repeat(grey_HW[:, :, None], 3, 2), 5: rgb_N[0]}
    assert np.flatnonzero(found.valid).tolist() == list(expected)
    for row, pixels in expected.items():
        for ours, alone in zip((found.hashes[row], found.measures[row]), fingerprint(pixels), strict=True):
            np.testing.assert_array_equal(ours, alone)
    assert found.reasons == {
        3: "the array has 5 rows",
        **dict.fromkeys(range(6, len(names)), "no such file or directory"),
    }


def test_rows_of_an_array_above_the_limit_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.stack([picture(seed) for seed in range(3)]))
    rows = pd.DataFrame({"path": [f"x.npy[{row}]" for row in range(3)], "size_bytes": 1})
    found = fingerprint_chunk(rows, "npy", tmp_path, 5, MEMORY_MB)
    assert not found.valid.any()
    assert set(found.reasons) == {0, 1, 2} and "above decoding.max_pixels 5" in found.reasons[1]


def test_rows_that_changed_since_are_refused_by_the_seal(folder: Path, tmp_path: Path) -> None:
    manifest_of(folder, tmp_path)
    make_store(folder, tmp_path, [0, 1])
    write_picture(folder / "0/0.png", picture(99))
    manifest_of(folder, tmp_path)
    with pytest.raises(UnchokeError, match="Chunk 0 of fingerprints"):
        seal_store(tmp_path / "fingerprints.zarr", tmp_path / "manifest.csv", tmp_path / "rows")


def test_a_record_says_what_a_chunk_was_made_from(folder: Path, tmp_path: Path) -> None:
    manifest_of(folder, tmp_path)
    store = make_store(folder, tmp_path, [0, 1])
    record = json.loads(chunks.record_file(store, 1).read_text())
    files = tables.rows_files(tmp_path / "rows", 1, 2)
    assert record["rows_sha256"] == sha256_bytes(b"".join(file.read_bytes() for file in files))
    assert record["images"] == 4 - len(record["invalid"])
    assert record["shapes"][chunks.MEASURES] == [6, len(MEASURES)]


def test_fingerprints_move_with_their_version_alone() -> None:
    hash_3, measure_6 = fingerprint(load_digits().images[:2].astype(np.uint8).repeat(3).reshape(16, 8, 3) * 16)
    assert sha256_bytes(hash_3.tobytes() + measure_6.tobytes()) == GOLDEN[versions.FINGERPRINTS]


def test_no_size_moves_without_its_version() -> None:
    rng = np.random.default_rng(0)
    found = [fingerprint_batch(rng.integers(0, 256, (*size, 3), np.uint8)) for size in SIZES]
    data = b"".join(part.tobytes() for both in found for part in both)
    assert sha256_bytes(data) == GOLDEN_SIZES[versions.FINGERPRINTS]


def test_a_large_picture_has_the_fingerprint_of_its_pixels(tmp_path: Path) -> None:
    rgb_HW3 = np.random.default_rng(0).integers(0, 256, (1700, 1900, 3), np.uint8)
    small_HW3 = rgb_HW3[:40, :30]
    for name, pixels in (("a.png", small_HW3), ("b.png", rgb_HW3), ("c.png", small_HW3)):
        Image.fromarray(pixels).save(tmp_path / name)
    rows = pd.DataFrame({"image_id": [0, 1, 2], "path": ["a.png", "b.png", "c.png"], "size_bytes": [1, 1, 1]})
    found = fingerprint_chunk(rows, "folder", tmp_path, 10**8, 1024)
    for row, pixels in enumerate((small_HW3, rgb_HW3, small_HW3)):
        hashes, measures = fingerprint(pixels)
        np.testing.assert_array_equal(found.hashes[row], hashes)
        np.testing.assert_array_equal(found.measures[row], measures)


LARGE = """
import sys
from pathlib import Path
import pandas as pd
from unchoke.cleaning.fingerprint import fingerprint_chunk
from unchoke.machine.memory_watch import peak_memory_mb
before = peak_memory_mb()
rows = pd.DataFrame({"image_id": [0, 1], "path": ["a.jpg", "b.jpg"], "size_bytes": [1, 1]})
found = fingerprint_chunk(rows, "folder", Path(sys.argv[1]), 10**8, 1024)
assert found.valid.all()
print(peak_memory_mb() - before)
"""


def test_large_pictures_take_four_bytes_a_pixel_and_one_at_a_time(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (6000, 6000), "teal").save(tmp_path / name)
    done = subprocess.run([sys.executable, "-c", LARGE, str(tmp_path)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 6000**2 * 4 / 2**20 + 50
