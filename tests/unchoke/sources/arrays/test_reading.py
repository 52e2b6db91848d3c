"""Rows of arrays in HDF5, .npy and Zarr: listed in their order, read in place, and what cannot be read says why."""

import csv
import errno
import multiprocessing
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.sources.arrays import reading
from unchoke.sources.arrays.array import check_images, open_located
from unchoke.sources.kinds import hdf5
from unchoke.sources.locations import Location, fields_of, parse_location, parse_row, row_name
from unchoke.sources.source import list_images, listing_digest, open_images
from unchoke.store.tables import MANIFEST_COLUMNS, read_table

RNG = np.random.default_rng(0)
RGB_NHW3 = RNG.integers(0, 256, (20, 5, 7, 3), np.uint8)
LABEL_N = RNG.integers(0, 3, 20)

CONTIGUOUS = {}
IN_CHUNKS = {"chunks": (8, 5, 4, 3)}
COMPRESSED = {"chunks": (8, 5, 7, 3), "compression": "gzip"}
LAYOUTS = {"contiguous": CONTIGUOUS, "in chunks": IN_CHUNKS, "compressed": COMPRESSED}


def write_hdf5(file, options=CONTIGUOUS, **arrays):
    with h5py.File(file, "w") as handle:
        for name, values in arrays.items():
            handle.create_dataset(name, data=values, **(options if name == "x" else {}))
    return file.parent


def write_zarr(folder, zarr_format=3, shards=None, **arrays):
    store = zarr.open_group(folder, mode="w", zarr_format=zarr_format)
    for name, values in arrays.items():
        options = {"chunks": (4, *np.shape(values)[1:]), "shards": shards if name == "x" else None}
        store.create_array(name, data=np.asarray(values), **options)
    return folder.parent


def write_npy(folder, **arrays):
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    return folder


def fields(images="a.h5:x", labels="a.h5:y", groups=None):
    given = {"images": images, "labels": labels, "groups": groups}
    return fields_of(given)


def hdf5_writer(options):
    return "hdf5", fields(), lambda root, x, y: write_hdf5(root / "a.h5", options, x=x, y=y)


WRITERS = {
    **{f"hdf5, {name}": hdf5_writer(options) for name, options in LAYOUTS.items()},
    "npy": ("npy", fields("x.npy", "y.npy"), lambda root, x, y: write_npy(root, x=x, y=y)),
    "zarr 2": (
        "zarr",
        fields("a.zarr:x", "a.zarr:y"),
        lambda root, x, y: write_zarr(root / "a.zarr", zarr_format=2, x=x, y=y),
    ),
    "zarr 3": ("zarr", fields("a.zarr:x", "a.zarr:y"), lambda root, x, y: write_zarr(root / "a.zarr", x=x, y=y)),
    "zarr in shards": (
        "zarr",
        fields("a.zarr:x", "a.zarr:y"),
        lambda root, x, y: write_zarr(root / "a.zarr", shards=(8, *x.shape[1:]), x=x, y=y),
    ),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Kind, fields and folder of the same images in every kind of file."""
    places = {}
    for name, (kind, where, write) in WRITERS.items():
        root = tmp_path_factory.mktemp(kind)
        write(root, RGB_NHW3, LABEL_N)
        places[name] = (kind, where, root)
    return places


@pytest.fixture
def root(tmp_path):
    """The same images in a compressed HDF5 file."""
    return write_hdf5(tmp_path / "a.h5", COMPRESSED, x=RGB_NHW3, y=LABEL_N)


def pixels_of(kind, root, names):
    return [reader() for reader in open_images(kind, root, names)]


def rows(*numbers, location="a.h5:x"):
    return [f"{location}[{number}]" for number in numbers]


def error_of(kind, root, given):
    with pytest.raises(UnchokeError) as caught:
        list_images(kind, root, None, given)
    return str(caught.value)


# --- locations


@given(st.text("ab/. \n[]0", min_size=1), st.text("xy:[]/0"), st.integers(0, 10**9))
def test_a_row_is_found_again_by_its_name(file, key, row):
    assert parse_row(row_name(Location(file, key), row)) == (parse_location(f"{file}:{key}"), row)


def test_what_names_no_row_is_refused():
    with pytest.raises(UnchokeError, match=r"'a\.png'"):
        parse_row("a.png")


# --- listing and reading


@pytest.mark.parametrize("name", WRITERS)
def test_every_row_is_listed_in_order_with_its_label_and_size(written, name):
    kind, given, root = written[name]
    images = list_images(kind, root, None, given).images
    location = given["images"][""]
    assert [image.path for image in images] == [f"{location}[{row}]" for row in range(20)]
    assert [image.label for image in images] == [str(label) for label in LABEL_N.tolist()]
    assert {image[2:5] for image in images} == {("", "", 5 * 7 * 3)}
    times = [file.stat().st_mtime_ns for file in root.rglob("*") if file.is_file()]
    assert {image.mtime_ns for image in images} <= set(times)


@pytest.mark.parametrize("name", WRITERS)
@given(numbers=st.lists(st.integers(0, 19), min_size=1, max_size=30))
def test_any_rows_in_any_order_are_read_as_they_were_written(written, name, numbers):
    kind, given, root = written[name]
    location = given["images"][""]
    found = pixels_of(kind, root, rows(*numbers, location=location))
    np.testing.assert_array_equal(found, RGB_NHW3[numbers])


@pytest.mark.parametrize("name", ["hdf5, contiguous", "npy", "zarr 2", "zarr 3"])
@pytest.mark.parametrize("shape", [(6, 5, 7), (6, 5, 7, 1)])
def test_grey_becomes_colour(tmp_path, name, shape):
    kind, given, write = WRITERS[name]
    grey = RNG.integers(0, 256, shape, np.uint8)
    write(tmp_path, grey, np.arange(6))
    assert {image.size_bytes for image in list_images(kind, tmp_path, None, given).images} == {35}
    found = pixels_of(kind, tmp_path, rows(0, 1, 5, location=given["images"][""]))
    np.testing.assert_array_equal(found, np.stack([grey.reshape(6, 5, 7)[[0, 1, 5]]] * 3, -1))


def test_splits_and_groups_are_those_of_the_locations(tmp_path):
    for split, count in (("train", 3), ("valid", 2)):
        write_hdf5(tmp_path / f"{split}.h5", x=RGB_NHW3[:count], y=LABEL_N[:count].reshape(-1, 1, 1, 1))
        with (tmp_path / f"{split}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["", "wsi"], *([row, f"{split} {row // 2}"] for row in range(count))])
    splits = {"val": "valid", "train": "train"}
    given = fields_of(
        {
            "images": {split: f"{name}.h5:x" for split, name in splits.items()},
            "labels": {split: f"{name}.h5:y" for split, name in splits.items()},
            "groups": {split: f"{name}.csv:wsi" for split, name in splits.items()},
        }
    )
    images = list_images("hdf5", tmp_path, None, given).images
    assert [(image.path, image.split, image.group) for image in images] == [
        *((f"train.h5:x[{row}]", "train", f"train {row // 2}") for row in range(3)),
        *((f"valid.h5:x[{row}]", "val", "valid 0") for row in range(2)),
    ]


LABELS = {
    "integers, one a row in four axes": (np.array([1, 0, 2, 1]).reshape(4, 1, 1, 1), ["1", "0", "2", "1"]),
    "bytes of 8 bits": (np.array([1, 0, 255, 1], np.uint8), ["1", "0", "255", "1"]),
    "true and false": (np.array([True, False, True, True]), ["1", "0", "1", "1"]),
    "whole floats": (np.array([1.0, 0.0, -2.0, 1.0], np.float32), ["1", "0", "-2", "1"]),
    "whole floats, of which one is missing": (np.array([1.0, np.nan, -2.0, 1.0]), ["1", "", "-2", "1"]),
    "text of a fixed length": (np.array([b"cat", b"dog", b"", b"\xe7\x8c\xab"]), ["cat", "dog", "", "猫"]),
    "text": (["cat", "dog", "", "猫"], ["cat", "dog", "", "猫"]),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_are_integers_or_text(tmp_path, name):
    values, expected = LABELS[name]
    write_hdf5(tmp_path / "a.h5", x=RGB_NHW3[:4], y=values)
    assert [image.label for image in list_images("hdf5", tmp_path, None, fields()).images] == expected


def test_labels_and_groups_may_lie_in_files_of_other_kinds(tmp_path):
    write_hdf5(tmp_path / "a.h5", x=RGB_NHW3[:2])
    write_npy(tmp_path, y=np.array(["cat", "a dog"]))
    (tmp_path / "meta.csv").write_bytes('\ufeffwsi,note\n"s 1",\ns2,x\n'.encode())
    images = list_images("hdf5", tmp_path, None, fields("a.h5:x", "y.npy", "meta.csv:wsi")).images
    assert [(image.label, image.group) for image in images] == [("cat", "s 1"), ("a dog", "s2")]


def test_an_array_in_a_group_is_named_by_its_path(tmp_path):
    write_hdf5(tmp_path / "a.h5", **{"train/images": RGB_NHW3, "train/labels": LABEL_N})
    given = fields("a.h5:train/images", "a.h5:train/labels")
    assert len(list_images("hdf5", tmp_path, None, given).images) == 20
    np.testing.assert_array_equal(pixels_of("hdf5", tmp_path, ["a.h5:train/images[3]"]), RGB_NHW3[[3]])


def test_rows_that_are_added_take_the_next_ids(tmp_path):
    settings, given = SplitSettings(0, 0.2, 0.2), fields("x.npy", "y.npy")
    files = (tmp_path / "out" / "manifest.csv", tmp_path / "out" / "rows")
    for count in (12, 20):
        write_npy(tmp_path, x=RGB_NHW3[:count], y=np.arange(count) % 2)
        build_manifest("npy", tmp_path, None, settings, 8, *files, given)
        frame = read_table(files[0], MANIFEST_COLUMNS)
        assert frame["path"].tolist() == rows(*range(count), location="x.npy")
    assert (frame["excluded"] == "").all()


# --- one slice for neighbouring rows


class Counted:
    """An array that remembers which slices of it were read."""

    def __init__(self, values, fails=lambda rows: None):
        self.values, self.fails, self.slices = values, fails, []
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, rows):
        self.slices.append((rows.start, rows.stop))
        self.fails(rows)
        return self.values[rows]


def readers_of(tmp_path, array, numbers):
    (tmp_path / "a").touch()
    return reading.open_rows(tmp_path, rows(*numbers, location="a"), lambda file, key: array)


def test_neighbouring_rows_are_read_in_one_slice_when_the_first_is_asked_for(tmp_path):
    array = Counted(RGB_NHW3)
    readers = readers_of(tmp_path, array, [3, 4, 5, 9, 10, 4])
    assert array.slices == []
    for reader, row in zip(readers[::-1], [4, 10, 9, 5, 4, 3], strict=True):
        np.testing.assert_array_equal(reader(), RGB_NHW3[row])
    assert array.slices == [(4, 5), (9, 11), (3, 6)]


def test_a_row_may_be_asked_for_again(tmp_path):
    readers = readers_of(tmp_path, Counted(RGB_NHW3), [3, 4])
    for _ in range(3):
        np.testing.assert_array_equal([reader() for reader in readers], RGB_NHW3[3:5])


def test_threads_share_one_slice(tmp_path):
    array = Counted(RGB_NHW3)
    readers = readers_of(tmp_path, array, range(20))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda reader: reader(), readers))
    np.testing.assert_array_equal(found, RGB_NHW3)
    assert array.slices == [(0, 20)]


@pytest.mark.parametrize(("block_bytes", "size"), [(1, 1), (105 * 6, 6), (105 * 7 - 1, 6)])
def test_a_slice_is_bounded(tmp_path, monkeypatch, block_bytes, size):
    monkeypatch.setattr(reading, "BLOCK_BYTES", block_bytes)
    array = Counted(RGB_NHW3)
    np.testing.assert_array_equal([reader() for reader in readers_of(tmp_path, array, range(20))], RGB_NHW3)
    assert array.slices == [(start, min(start + size, 20)) for start in range(0, 20, size)]


def test_where_a_slice_fails_the_rows_that_can_be_read_live(tmp_path):
    def fail(rows):
        if rows.start <= 7 < rows.stop:
            raise OSError("filter returned failure")

    readers = readers_of(tmp_path, Counted(RGB_NHW3, fail), range(20))
    for row, reader in enumerate(readers):
        if row == 7:
            with pytest.raises(UnreadableImageError, match="damaged array: filter returned failure"):
                reader()
        else:
            np.testing.assert_array_equal(reader(), RGB_NHW3[row])


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENOMEM])
def test_a_machine_at_fault_brands_no_row(tmp_path, number):
    def fail(rows):
        raise OSError(number, os.strerror(number))

    for reader in readers_of(tmp_path, Counted(RGB_NHW3, fail), range(2)):
        with pytest.raises(OSError) as caught:
            reader()
        assert caught.value.errno == number


# --- damage


def test_a_damaged_piece_of_an_hdf5_file_takes_its_own_rows_alone(root):
    with h5py.File(root / "a.h5") as handle:
        piece = handle["x"].id.get_chunk_info(1)  # rows 8 to 15
    data = bytearray((root / "a.h5").read_bytes())
    data[piece.byte_offset + 10 : piece.byte_offset + piece.size // 2] = bytes(piece.size // 2 - 10)
    (root / "a.h5").write_bytes(data)
    readable = []
    for row, reader in enumerate(open_images("hdf5", root, rows(*range(20)))):
        try:
            np.testing.assert_array_equal(reader(), RGB_NHW3[row])
            readable.append(row)
        except UnreadableImageError as error:
            assert str(error).startswith("damaged array: ") and str(root) not in str(error)
    assert readable == [*range(8), *range(16, 20)]


def test_a_damaged_piece_of_a_zarr_store_takes_its_own_rows_alone(tmp_path):
    write_zarr(tmp_path / "a.zarr", x=RGB_NHW3, y=LABEL_N)
    (tmp_path / "a.zarr/x/c/1/0/0/0").write_bytes(b"no pixels")  # rows 4 to 7
    readers = open_images("zarr", tmp_path, rows(*range(20), location="a.zarr:x"))
    for row, reader in enumerate(readers):
        if 4 <= row < 8:
            with pytest.raises(UnreadableImageError, match="damaged array"):
                reader()
        else:
            np.testing.assert_array_equal(reader(), RGB_NHW3[row])


def test_an_npy_file_that_has_lost_its_end_keeps_the_rows_before_it(tmp_path):
    write_npy(tmp_path, x=RGB_NHW3)
    readers = open_images("npy", tmp_path, rows(0, 18, 19, location="x.npy"))
    np.testing.assert_array_equal(readers[0](), RGB_NHW3[0])
    whole = (tmp_path / "x.npy").read_bytes()
    readers[1]()
    (tmp_path / "x.npy").write_bytes(whole[:-10])
    with pytest.raises(UnreadableImageError):
        pixels_of("npy", tmp_path, rows(19, location="x.npy"))


def test_what_is_gone_says_so(root):
    reasons = {}
    for name in ("a.h5:x[20]", "a.h5:z[0]", "b.h5:x[0]"):
        with pytest.raises(UnreadableImageError) as caught:
            pixels_of("hdf5", root, [name])
        reasons[name] = str(caught.value)
    assert reasons == {
        "a.h5:x[20]": "the array has 20 rows",
        "a.h5:z[0]": "an array is missing",
        "b.h5:x[0]": "a file of arrays is missing",
    }


# --- handles


def test_a_file_is_opened_once_until_it_changes(root, monkeypatch):
    opened = []
    open_anew = h5py.File

    def counted(file, *args, **options):
        opened.append(file)
        return open_anew(file, *args, **options)

    monkeypatch.setattr(h5py, "File", counted)
    for _ in range(3):
        np.testing.assert_array_equal(pixels_of("hdf5", root, rows(2)), RGB_NHW3[[2]])
    assert len(opened) == 1
    assert hdf5.open_array(root / "a.h5", "x") is hdf5.open_array(root / "a.h5", "x")  # which keeps what is unpacked
    code = f"import h5py; h5py.File({str(root / 'a.h5')!r}, 'r+')['x'][2] = 7"
    subprocess.run([sys.executable, "-c", code], check=True)  # in place
    os.utime(root / "a.h5", ns=(1, 1))
    assert np.unique(pixels_of("hdf5", root, rows(2))).tolist() == [7]
    with open_anew(root / "new.h5", "w") as handle:  # another file in its place
        handle["x"] = RGB_NHW3[::-1]
    (root / "new.h5").replace(root / "a.h5")
    np.testing.assert_array_equal(pixels_of("hdf5", root, rows(2)), RGB_NHW3[[17]])
    assert len(opened) == 3


def test_no_more_files_stay_open_than_a_few(tmp_path):
    for number in range(hdf5.MOST_OPEN + 5):
        write_hdf5(tmp_path / f"{number}.h5", x=RGB_NHW3[:2])
        pixels_of("hdf5", tmp_path, [f"{number}.h5:x[0]"])
    assert h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE) <= hdf5.MOST_OPEN


def read_in_child(root, queue):
    queue.put(int(np.sum(pixels_of("hdf5", root, rows(*range(20))))))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_reads_on(root):
    pixels_of("hdf5", root, rows(0))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [context.Process(target=read_in_child, args=(root, queue)) for _ in range(2)]
    for child in children:
        child.start()
    assert [queue.get(timeout=60) for _ in children] == [int(RGB_NHW3.sum())] * 2
    for child in children:
        child.join(60)
    np.testing.assert_array_equal(pixels_of("hdf5", root, rows(*range(20))), RGB_NHW3)


# --- digests


@pytest.mark.parametrize("name", ["hdf5, compressed", "npy", "zarr 2", "zarr 3"])
def test_the_digest_stays_until_a_file_or_a_location_changes(tmp_path, name):
    kind, given, write = WRITERS[name]
    write(tmp_path, RGB_NHW3, LABEL_N)
    first = listing_digest(kind, tmp_path, None, given)
    assert listing_digest(kind, tmp_path, None, {role: given[role] for role in ("labels", "images")}) == first
    digests = {first, listing_digest(kind, tmp_path, None, {**given, "groups": given["labels"]})}
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file.parent != tmp_path / "a.zarr"]
    for file in files:
        os.utime(file, ns=(1, 1))
        digests.add(listing_digest(kind, tmp_path, None, given))
    assert len(digests) == 2 + len(files)


def test_a_digest_opens_nothing_and_imports_little(written):
    arguments = [(kind, str(root), dict(given)) for kind, given, root in written.values()]
    code = f"""
import sys
from pathlib import Path
from unchoke.sources.source import listing_digest
digests = [listing_digest(kind, Path(root), None, given) for kind, root, given in {arguments!r}]
assert len(set(digests)) == len(digests)
print(*sys.modules)
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "unchoke.sources.kinds.zarr" in loaded
    assert not {"numpy", "h5py", "zarr", "pandas", "torch"} & set(loaded)


def test_a_digest_may_be_taken_of_what_is_not_there(tmp_path):
    assert listing_digest("hdf5", tmp_path / "gone", None, fields()) == listing_digest(
        "hdf5", tmp_path / "gone", None, fields()
    )


# --- errors

X, Y = RGB_NHW3[:4], LABEL_N[:4]


def cut_short(root):
    write_hdf5(root / "a.h5", x=X, y=Y)
    data = (root / "a.h5").read_bytes()
    (root / "a.h5").write_bytes(data[: len(data) // 2])


def packed(root):
    write_hdf5(root / "b.h5", x=X)
    (root / "a.h5.gz").touch()


def with_table(text):
    def write(root):
        write_hdf5(root / "a.h5", x=X, y=Y)
        (root / "meta.csv").write_text(text)

    return write


BAD_HDF5 = {
    "a missing key": (lambda root: write_hdf5(root / "a.h5", xs=X, y=Y), {}, ["missing", "xs, y", "did you mean 'xs'"]),
    "a group for a key": (lambda root: write_hdf5(root / "a.h5", **{"x/x": X, "y": Y}), {}, ["missing", "x/x, y"]),
    "no key": (lambda root: write_hdf5(root / "a.h5", x=X, y=Y), {"images": "a.h5"}, ["which array", "'a.h5:x'"]),
    "a missing file": (lambda root: write_hdf5(root / "a.hdf5", x=X), {}, ["missing", "a.hdf5", "a.h5"]),
    "a packed file": (packed, {}, ["missing", "a.h5.gz", "gunzip"]),
    "lengths": (lambda root: write_hdf5(root / "a.h5", x=X, y=Y[:3]), {}, ["4 images in a.h5:x", "3 labels in a.h5:y"]),
    "floats": (lambda root: write_hdf5(root / "a.h5", x=X / 255, y=Y), {}, ["float64 (4, 5, 7, 3)", "uint8", "255"]),
    "channels first": (
        lambda root: write_hdf5(root / "a.h5", x=np.moveaxis(X, -1, 1), y=Y),
        {},
        ["channels", "(4, 3, 5, 7)", "np.moveaxis(x, 1, -1)"],
    ),
    "grey channel first": (
        lambda root: write_hdf5(root / "a.h5", x=np.moveaxis(X[..., :1], -1, 1), y=Y),
        {},
        ["channels", "(4, 1, 5, 7)"],
    ),
    "four channels": (
        lambda root: write_hdf5(root / "a.h5", x=np.concatenate([X, X[..., :1]], 3), y=Y),
        {},
        ["(4, 5, 7, 4)"],
    ),
    "no images": (lambda root: write_hdf5(root / "a.h5", x=X[:, 0, 0], y=Y), {}, ["no images", "(4, 3)"]),
    "an empty array": (lambda root: write_hdf5(root / "a.h5", x=X[:0], y=Y[:0]), {}, ["empty", "(0, 5, 7, 3)"]),
    "cut short": (cut_short, {}, ["cut short", "truncated", "a.h5"]),
    "text": (lambda root: (root / "a.h5").write_text("text"), {}, ["no HDF5 file", "signature"]),
    "labels that are shares": (lambda root: write_hdf5(root / "a.h5", x=X, y=Y + 0.5), {}, ["integer", "float64"]),
    "labels that are not numbers": (
        lambda root: write_hdf5(root / "a.h5", x=X, y=Y + 0.5),
        {},
        ["integer", ".5 among"],
    ),
    "labels one-hot": (lambda root: write_hdf5(root / "a.h5", x=X, y=np.eye(4)), {}, ["(4, 4)", "number of the class"]),
    "one label for all": (lambda root: write_hdf5(root / "a.h5", x=X, y=1), {}, ["one label", "()"]),
    "a missing column": (
        with_table("path,wsi_id\n" + "a,b\n" * 4),
        {"groups": "meta.csv:wsi"},
        ["'wsi'", "path, wsi_id", "did you mean 'wsi_id'"],
    ),
    "no column": (with_table("path,wsi\n" + "a,b\n" * 4), {"groups": "meta.csv"}, ["which column", "meta.csv:wsi"]),
    "a short table": (with_table("wsi\na\n"), {"groups": "meta.csv:wsi"}, ["4 images", "1 groups in meta.csv:wsi"]),
    "a ragged table": (with_table("a,wsi\n1,2\n1\n"), {"groups": "meta.csv:wsi"}, ["too few cells", "row 3"]),
    "an empty table": (with_table(""), {"groups": "meta.csv:wsi"}, ["CSV cannot be read"]),
}


@pytest.mark.parametrize("name", BAD_HDF5)
def test_what_is_wrong_with_an_hdf5_file_is_said(tmp_path, name):
    write, given, parts = BAD_HDF5[name]
    write(tmp_path)
    message = error_of("hdf5", tmp_path, fields(**given))
    assert [part for part in parts if part not in message] == []


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    def refuse(file, key):
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "a.h5").touch()
    with pytest.raises(UnchokeError, match=r"(?s)may not be read.*Permission denied.*a\.h5"):
        open_located(tmp_path, Location("a.h5", "x"), refuse)


def test_a_list_of_keys_is_bounded(tmp_path):
    write_hdf5(tmp_path / "a.h5", **{f"k{number:04d}": [1] for number in range(500)})
    message = error_of("hdf5", tmp_path, fields())
    assert "and 490 more" in message and len(message) < 1000


BAD_NPY = {
    "a key": (lambda root: write_npy(root, x=X, y=Y), fields("x.npy:x", "y.npy"), ["no keys"]),
    "objects": (
        lambda root: write_npy(root, x=X, y=Y.astype(object)),
        fields("x.npy", "y.npy"),
        ["in place", "object"],
    ),
    "fortran": (
        lambda root: write_npy(root, x=np.asfortranarray(X), y=Y),
        fields("x.npy", "y.npy"),
        ["Fortran", "ascontiguousarray"],
    ),
    "text": (lambda root: (root / "x.npy").write_text("text"), fields("x.npy", "y.npy"), ["no .npy file"]),
    "cut short": (
        lambda root: (root / "x.npy").write_bytes((write_npy(root, x=X, y=Y) / "x.npy").read_bytes()[:-1]),
        fields("x.npy", "y.npy"),
        ["cut short", "uint8 (4, 5, 7, 3)"],
    ),
}


@pytest.mark.parametrize("name", BAD_NPY)
def test_what_is_wrong_with_an_npy_file_is_said(tmp_path, name):
    write, given, parts = BAD_NPY[name]
    write(tmp_path)
    message = error_of("npy", tmp_path, given)
    assert [part for part in parts if part not in message] == []


BAD_ZARR = {
    "a missing key": (lambda root: write_zarr(root / "a.zarr", xs=X, y=Y), ["missing", "xs, y", "did you mean 'xs'"]),
    "no store": (lambda root: (root / "a.zarr").mkdir(), ["missing", "no arrays"]),
    "broken metadata": (
        lambda root: (write_zarr(root / "a.zarr", x=X, y=Y) / "a.zarr/x/zarr.json").write_text("{"),
        ["metadata"],
    ),
    "floats": (lambda root: write_zarr(root / "a.zarr", x=X.astype("f4"), y=Y), ["float32 (4, 5, 7, 3)"]),
}


@pytest.mark.parametrize("name", BAD_ZARR)
def test_what_is_wrong_with_a_zarr_store_is_said(tmp_path, name):
    write, parts = BAD_ZARR[name]
    write(tmp_path)
    message = error_of("zarr", tmp_path, fields("a.zarr:x", "a.zarr:y"))
    assert [part for part in parts if part not in message] == []


def test_a_store_may_be_the_array_itself(tmp_path):
    for name, values in (("x", X), ("y", Y)):
        zarr.create_array(tmp_path / f"{name}.zarr", data=values)
    images = list_images("zarr", tmp_path, None, fields("x.zarr", "y.zarr")).images
    np.testing.assert_array_equal(pixels_of("zarr", tmp_path, [image.path for image in images]), X)


def test_a_path_that_is_the_file_itself_is_answered_with_the_right_one(root):
    message = error_of("hdf5", root / "a.h5", fields())
    assert f"path: {root}, images: 'a.h5:key'" in message
    assert "nothing" in error_of("hdf5", root / "gone", fields())


def test_fields_that_name_no_images_or_labels_are_refused(root):
    assert "images" in error_of("hdf5", root, {})
    given = {"images": {"train": "a.h5:x"}, "labels": {"test": "a.h5:y"}}
    assert "labels for train" in error_of("hdf5", root, given)
    given = {role: {"train": "a.h5:x", "vall": "a.h5:x"} for role in ("images", "labels")}
    assert "did you mean 'val'" in error_of("hdf5", root, given)


@given(st.lists(st.integers(0, 5), max_size=5), st.sampled_from(["uint8", "int8", "uint16", "float32"]))
def test_just_the_shapes_of_images_pass(shape, dtype):
    array = np.empty(shape, dtype)
    fits = dtype == "uint8" and all(shape) and (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3)))
    if fits:
        check_images(array, "here")
    else:
        with pytest.raises(UnchokeError):
            check_images(array, "here")


def test_a_folder_of_the_machine_stays_out_of_reasons():
    with tempfile.TemporaryDirectory() as folder, pytest.raises(UnreadableImageError) as caught:
        pixels_of("npy", Path(folder), ["x.npy[0]"])
    assert folder not in str(caught.value)
