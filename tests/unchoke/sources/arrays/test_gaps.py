"""Rows that have no stored bytes are never read as fill values, whatever made them so."""

import json
import os

import h5py
import numpy as np
import pytest
import zarr

from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.sources.arrays import containers
from unchoke.sources.locations import fields_of
from unchoke.sources.source import list_images, listing_digest, open_images

N = 12
X = np.random.default_rng(0).integers(1, 256, (N, 4, 5, 3), np.uint8)
Y = np.arange(N) % 2
FIELDS = fields_of({"images": "all.h5:x", "labels": "y.npy", "groups": None})
IN_ZARR = fields_of({"images": "all.zarr:x", "labels": "y.npy", "groups": None})
ALL = set(range(N))


def write(file, **arrays):
    with h5py.File(file, "w") as handle:
        for name, values in arrays.items():
            handle[name] = values


def in_turn(part):
    return slice(part * 4, part * 4 + 4)


def interleaved(part):
    return slice(part, None, 3)


def write_parts(root, places=in_turn):
    for part in range(3):
        write(root / f"part{part}.h5", x=X[places(part)])


def write_virtual(root, *maps, name="all.h5", rows=N):
    """A virtual dataset. maps: an index of its rows, the file that gives them and how many it has."""
    layout = h5py.VirtualLayout((rows, *X.shape[1:]), np.uint8)
    for place, file, count in maps:
        layout[place] = h5py.VirtualSource(file, "x", (*count, *X.shape[1:]))
    with h5py.File(root / name, "w") as handle:
        handle.create_virtual_dataset("x", layout)


def virtual(places, break_it):
    """Three sources of four rows each, one of which is then broken."""

    def make(root):
        write_parts(root, places)
        write_virtual(root, *((places(part), f"part{part}.h5", (4,)) for part in range(3)))
        break_it(root)

    return make


def gone(root):
    (root / "part2.h5").unlink()


def renamed(root):
    (root / "part2.h5").rename(root / "moved.h5")


def other_name(root):
    write(root / "part2.h5", images=X[8:])


def cut_short(root):
    data = (root / "part2.h5").read_bytes()
    (root / "part2.h5").write_bytes(data[: len(data) // 2])


def shorter(root):
    with h5py.File(root / "part2.h5", "a") as handle:
        values = handle["x"][:2]
        del handle["x"]
        handle["x"] = values


def other_shape(root):
    write(root / "part2.h5", x=X[8:, :3])


def dangling(root):
    gone(root)
    (root / "part2.h5").symlink_to("nowhere.h5")


def half_written(root):
    with h5py.File(root / "part2.h5", "a") as handle:
        values = handle["x"][:2]
        del handle["x"]
        handle.create_dataset("x", (4, *X.shape[1:]), np.uint8, chunks=(2, *X.shape[1:]))[:2] = values


def nested(root):
    """Two virtual datasets of three sources each, below a third one."""
    for part in range(6):
        write(root / f"part{part}.h5", x=X[part * 2 : part * 2 + 2])
    for half in range(2):
        maps = [(slice(k * 2, k * 2 + 2), f"part{half * 3 + k}.h5", (2,)) for k in range(3)]
        write_virtual(root, *maps, name=f"half{half}.h5", rows=6)
    write_virtual(root, (slice(6), "half0.h5", (6,)), (slice(6, N), "half1.h5", (6,)))
    (root / "part4.h5").unlink()


def one_image_a_file(root):
    for row in range(N):
        write(root / f"{row}.h5", x=X[row])
    write_virtual(root, *((row, f"{row}.h5", ()) for row in range(N)))
    (root / "7.h5").unlink()


def unmapped(root):
    write_parts(root)
    layout = h5py.VirtualLayout(X.shape, np.uint8)
    layout[:4] = h5py.VirtualSource("part0.h5", "x", (4, *X.shape[1:]))
    layout[4:8, :2] = h5py.VirtualSource("part1.h5", "x", (4, *X.shape[1:]))[:, :2]  # the upper half of each
    layout[8:] = h5py.VirtualSource("part2.h5", "x", (4, *X.shape[1:]))
    with h5py.File(root / "all.h5", "w") as handle:
        handle.create_virtual_dataset("x", layout)


def numbered(root):
    """Sources named by %b; the last of them is not written to its end."""
    write_parts(root)
    half_written(root)
    row = X.shape[1:]
    target = h5py.h5s.create_simple((N, *row), (h5py.h5s.UNLIMITED, *row))
    target.select_hyperslab((0, 0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1, 1), stride=(4, 1, 1, 1), block=(4, *row))
    create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    create.set_virtual(target, b"part%b.h5", b"x", h5py.h5s.create_simple((4, *row)))
    with h5py.File(root / "all.h5", "w") as handle:
        h5py.h5d.create(handle.id, b"x", h5py.h5t.NATIVE_UINT8, target, create)


def same_file(root):
    write(root / "all.h5", parts=X[:8])
    layout = h5py.VirtualLayout(X.shape, np.uint8)
    layout[:] = h5py.VirtualSource("all.h5", "parts", X.shape)
    with h5py.File(root / "all.h5", "a") as handle:
        handle.create_virtual_dataset("x", layout)


def chunks(root, shape=(2, 4, 5, 3), rows=8, width=5, compression="gzip"):
    with h5py.File(root / "all.h5", "w") as handle:
        data = handle.create_dataset("x", X.shape, np.uint8, chunks=shape, compression=compression, fillvalue=9)
        data[:rows, :, :width] = X[:rows, :, :width]


def never_written(root):
    with h5py.File(root / "part2.h5", "w") as handle:
        handle.create_dataset("x", (4, *X.shape[1:]), np.uint8)


def raw(root, sizes=(h5py.h5f.UNLIMITED,), stored=(8 * 60,), offset=0):
    external = [(str(root / f"raw{k}.bin"), offset, size) for k, size in enumerate(sizes)]
    with h5py.File(root / "all.h5", "w") as handle:
        handle.create_dataset("x", X.shape, np.uint8, external=external)
    data = X.tobytes()
    for k, length in enumerate(stored):
        if length:
            (root / f"raw{k}.bin").write_bytes(bytes(offset) + data[:length])
        data = data[min(sizes[k], len(data)) :]


def linked(root):
    write(root / "other.h5", z=1)
    with h5py.File(root / "other.h5", "a") as handle:
        handle.create_dataset("a/x", X.shape, np.uint8, chunks=(4, *X.shape[1:]))[4:] = X[4:]
    with h5py.File(root / "all.h5", "w") as handle:
        handle["far"] = h5py.ExternalLink("other.h5", "/a")
        handle["x"] = h5py.SoftLink("/far/x")


def zarr_2(root):
    array = zarr.create_array(
        root / "all.zarr", name="x", shape=X.shape, chunks=(2, 4, 3, 3), dtype="u1", zarr_format=2
    )
    array[...] = X
    facts = json.loads((root / "all.zarr/x/.zarray").read_text())
    (root / "all.zarr/x/.zarray").write_text(json.dumps({**facts, "fill_value": None}))
    (root / "all.zarr/x/3.0.1.0").unlink()


# name: (what writes it, the rows without stored bytes, a part of their reason)
CASES = {
    "source gone": (virtual(in_turn, gone), set(range(8, 12)), "part2.h5 is missing"),
    "source gone, interleaved": (virtual(interleaved, gone), {2, 5, 8, 11}, "part2.h5 is missing"),
    "source renamed": (virtual(in_turn, renamed), set(range(8, 12)), "part2.h5 is missing"),
    "source is a link to nothing": (virtual(in_turn, dangling), set(range(8, 12)), "part2.h5 is missing"),
    "source cut short": (virtual(in_turn, cut_short), set(range(8, 12)), "part2.h5 cannot be read"),
    "source without the dataset": (virtual(in_turn, other_name), set(range(8, 12)), "no dataset x"),
    "source shorter": (virtual(in_turn, shorter), {10, 11}, "part2.h5 is too short"),
    "source shorter, interleaved": (virtual(interleaved, shorter), {8, 11}, "part2.h5 is too short"),
    "source of another shape": (virtual(in_turn, other_shape), set(range(8, 12)), "part2.h5"),
    "source half written": (virtual(interleaved, half_written), {8, 11}, "part2.h5"),
    "source never written": (virtual(in_turn, never_written), set(range(8, 12)), "never written"),
    "source of a source gone": (nested, {8, 9}, "part4.h5 is missing"),
    "one image a source": (one_image_a_file, {7}, "7.h5 is missing"),
    "no source for a part": (unmapped, set(range(4, 8)), "no source"),
    "numbered sources": (numbered, {10, 11}, "never written"),
    "source in the same file": (same_file, set(range(8, 12)), "too short"),
    "chunks never written": (chunks, set(range(8, 12)), "never written"),
    "chunks not compressed": (lambda root: chunks(root, compression=None, rows=6), set(range(6, 12)), "never written"),
    "chunks across a row": (lambda root: chunks(root, (3, 4, 2, 3), N, 4), ALL, "never written"),
    "an external link": (linked, set(range(4)), "never written"),
    "raw file short": (raw, set(range(8, 12)), "raw0.bin is too short"),
    "raw file short, within a row": (
        lambda root: raw(root, stored=(8 * 60 + 59,), offset=7),
        set(range(8, 12)),
        "raw0",
    ),
    "raw file missing": (
        lambda root: raw(root, (150, h5py.h5f.UNLIMITED), (0, 1000)),
        set(range(3)),
        "raw0.bin is missing",
    ),
    "second raw file short": (
        lambda root: raw(root, (150, 1000), (150, 60)),
        set(range(3, 12)),
        "raw1.bin is too short",
    ),
    "zarr 2 without fill value": (zarr_2, {6, 7}, "never written"),
}


def source_of(name):
    return ("zarr", IN_ZARR) if name.startswith("zarr") else ("hdf5", FIELDS)


def read_rows(kind, root, rows):
    """Pixels, or the reason, of each row."""
    where = "all.zarr:x" if kind == "zarr" else "all.h5:x"
    for reader in open_images(kind, root, [f"{where}[{row}]" for row in rows]):
        try:
            yield reader()
        except UnreadableImageError as error:
            yield str(error)


@pytest.mark.parametrize("name", CASES)
def test_rows_without_stored_bytes_have_a_reason_and_others_their_own_pixels(tmp_path, name):
    make, missing, reason = CASES[name]
    np.save(tmp_path / "y.npy", Y)
    make(tmp_path)
    kind, fields = source_of(name)
    if missing == ALL:
        with pytest.raises(UnchokeError, match=reason):
            list_images(kind, tmp_path, None, fields)
    else:
        assert len(list_images(kind, tmp_path, None, fields).images) == N
    for rows in (range(N), range(N - 1, -1, -1)):
        for row, found in zip(rows, read_rows(kind, tmp_path, rows), strict=True):
            if row in missing:
                assert isinstance(found, str) and reason in found and tmp_path.name not in found
            else:
                np.testing.assert_array_equal(found, X[row])


# --- labels


@pytest.mark.parametrize("role", ["labels", "groups"])
@pytest.mark.parametrize("lacking", ["never written", "chunks", "a source"])
def test_labels_and_groups_that_are_not_stored_stop_the_run(tmp_path, role, lacking):
    write(tmp_path / "all.h5", x=X, y=Y)
    with h5py.File(tmp_path / "all.h5", "a") as handle:
        if lacking == "a source":
            layout = h5py.VirtualLayout((N,), np.int64)
            layout[:] = h5py.VirtualSource("gone.h5", "y", (N,))
            handle.create_virtual_dataset("bad", layout)
        else:
            bad = handle.create_dataset("bad", (N,), np.int64, chunks=(4,) if lacking == "chunks" else None)
            if lacking == "chunks":
                bad[:8] = Y[:8]
    given = {"images": "all.h5:x", "labels": "all.h5:y", "groups": None, role: "all.h5:bad"}
    with pytest.raises(UnchokeError, match=r"(?s)labels or groups are not stored.*of 12 rows.*all\.h5"):
        list_images("hdf5", tmp_path, None, fields_of(given))


# --- files that are referred to


REFERRING = {
    "virtual": (virtual(in_turn, lambda root: None), "part1.h5"),
    "a source of a source": (nested, "part0.h5"),
    "raw": (raw, "raw0.bin"),
    "an external link": (linked, "other.h5"),
}


@pytest.mark.parametrize("name", REFERRING)
def test_a_file_that_is_referred_to_counts_in_the_digest_and_the_time_of_rows(tmp_path, name):
    make, part = REFERRING[name]
    np.save(tmp_path / "y.npy", Y)
    make(tmp_path)
    part = tmp_path / part

    def digest(record=None):
        return listing_digest("hdf5", tmp_path, None, FIELDS, record)

    first = digest()
    listing = list_images("hdf5", tmp_path, None, FIELDS)
    record = tmp_path / "manifest.json"
    record.write_text(json.dumps({"containers": listing.containers}))
    assert digest() == digest(record) == first
    later = 2 * 10**18
    os.utime(part, ns=(later, later))
    assert digest() == digest(record) != first
    assert {image.mtime_ns for image in list_images("hdf5", tmp_path, None, FIELDS).images} == {later}
    changed = digest()
    part.unlink()
    assert digest(record) not in (first, changed)


def test_a_digest_opens_no_file_of_which_the_record_knows(tmp_path, monkeypatch):
    np.save(tmp_path / "y.npy", Y)
    write(tmp_path / "all.h5", x=X)
    record = tmp_path / "manifest.json"
    record.write_text(json.dumps({"containers": list_images("hdf5", tmp_path, None, FIELDS).containers}))
    first = listing_digest("hdf5", tmp_path, None, FIELDS, record)
    monkeypatch.setattr(containers.subprocess, "run", None)
    assert listing_digest("hdf5", tmp_path, None, FIELDS, record) == first


def test_a_source_that_comes_back_is_read_by_a_process_that_lives_on(tmp_path):
    np.save(tmp_path / "y.npy", Y)
    virtual(in_turn, renamed)(tmp_path)
    assert "missing" in next(read_rows("hdf5", tmp_path, [9]))
    (tmp_path / "moved.h5").rename(tmp_path / "part2.h5")
    np.testing.assert_array_equal(next(read_rows("hdf5", tmp_path, [9])), X[9])


def outside_virtual(root, name):
    write(root.parent / "part0.h5", x=X)
    write_virtual(root, (slice(N), name.format("part0.h5"), (N,)))


def outside_raw(root, name):
    (root.parent / "raw.bin").write_bytes(X.tobytes())
    with h5py.File(root / "all.h5", "w") as handle:
        handle.create_dataset("x", X.shape, np.uint8, external=[(name.format("raw.bin"), 0, h5py.h5f.UNLIMITED)])


def outside_link(root, name):
    write(root.parent / "other.h5", x=X)
    with h5py.File(root / "all.h5", "w") as handle:
        handle["x"] = h5py.ExternalLink(name.format("other.h5"), "x")


@pytest.mark.parametrize("how", ["absolute", "parent", "link"])
@pytest.mark.parametrize("make", [outside_virtual, outside_raw, outside_link])
def test_what_lies_outside_of_the_folder_is_refused_by_name(tmp_path, monkeypatch, make, how):
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.chdir(root)  # which raw files' names begin at
    np.save(root / "y.npy", Y)
    make(root, {"absolute": f"{tmp_path}/{{}}", "parent": "../{}", "link": "link"}[how])
    if how == "link":
        (target,) = (file for file in tmp_path.iterdir() if file.is_file())
        (root / "link").symlink_to(target)
    with pytest.raises(UnchokeError, match=r"(?s)outside of the dataset's folder.*all\.h5"):
        list_images("hdf5", root, None, FIELDS)
    (reason,) = read_rows("hdf5", root, [0])
    assert "outside" in reason
    (tmp_path / "linked").symlink_to(root)  # a folder that is a link is no reason
    with pytest.raises(UnchokeError, match="outside"):
        list_images("hdf5", tmp_path / "linked", None, FIELDS)


def test_a_folder_that_is_a_link_may_be_read(tmp_path):
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data/y.npy", Y)
    virtual(in_turn, lambda root: None)(tmp_path / "data")
    (tmp_path / "link").symlink_to("data")
    assert len(list_images("hdf5", tmp_path / "link", None, FIELDS).images) == N
    np.testing.assert_array_equal(list(read_rows("hdf5", tmp_path / "link", range(N))), X)


@pytest.mark.parametrize("bad", ["nothing", "outside", "pipe", "folder outside"])
def test_a_zarr_store_with_a_file_that_cannot_be_read_is_refused(tmp_path, bad):
    root = tmp_path / "data"
    zarr.create_array(root / "all.zarr", name="x", data=X, chunks=(4, 4, 5, 3))
    np.save(root / "y.npy", Y)
    chunk = root / "all.zarr/x/c/1/0/0/0"
    if bad == "folder outside":
        (root / "all.zarr/x/c/1").rename(tmp_path / "elsewhere")
        (root / "all.zarr/x/c/1").symlink_to(tmp_path / "elsewhere")
    else:
        chunk.rename(tmp_path / "elsewhere")
        os.mkfifo(chunk) if bad == "pipe" else chunk.symlink_to(
            tmp_path / ("elsewhere" if bad == "outside" else "gone")
        )
    with pytest.raises(UnchokeError, match=r"(?s)cannot be read.*all\.zarr/x/c/1"):
        list_images("zarr", root, None, IN_ZARR)


def test_links_within_a_zarr_store_are_read_and_count_in_the_digest(tmp_path):
    zarr.create_array(tmp_path / "all.zarr", name="x", data=X, chunks=(4, 4, 5, 3))
    np.save(tmp_path / "y.npy", Y)
    (tmp_path / "all.zarr/x/c/1").rename(tmp_path / "moved")
    (tmp_path / "all.zarr/x/c/1").symlink_to(tmp_path / "moved")
    np.testing.assert_array_equal(list(read_rows("zarr", tmp_path, range(N))), X)
    assert len(list_images("zarr", tmp_path, None, IN_ZARR).images) == N
    first = listing_digest("zarr", tmp_path, None, IN_ZARR)
    os.utime(tmp_path / "moved/0/0/0", ns=(1, 1))
    assert listing_digest("zarr", tmp_path, None, IN_ZARR) != first


@pytest.mark.parametrize("kind", ["hdf5", "zarr"])
def test_an_array_of_more_rows_than_a_manifest_holds_is_refused_at_once(tmp_path, kind):
    shape, chunks = (10**12, 1, 1), (10**6, 1, 1)
    if kind == "hdf5":
        with h5py.File(tmp_path / "all.h5", "w") as handle:
            handle.create_dataset("x", shape, np.uint8, chunks=chunks)
    else:
        zarr.create_array(tmp_path / "all.zarr", name="x", shape=shape, chunks=chunks, dtype="u1")
    with pytest.raises(UnchokeError, match=r"(?s)more rows than.*1,000,000,000,000 rows.*at most 20,000,000"):
        list_images(kind, tmp_path, None, FIELDS if kind == "hdf5" else IN_ZARR)
