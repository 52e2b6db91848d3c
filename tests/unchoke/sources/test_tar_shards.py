"""Tar shards: written for WebDataset and read back, the other way round, and what is wrong with one is said."""

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import write_shards as command
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.images.decode import decode_image
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.sources.kinds.digits import digit_files, png_bytes
from unchoke.sources.source import list_images, listing_digest, open_images
from unchoke.sources.tar_members import members_of
from unchoke.sources.tar_shards import Sample, write_shards

RGB_NHW3 = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 3), np.uint8)


def write_tar(path, members, tar_format=tarfile.PAX_FORMAT):
    """A tar of names and bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tar_format) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def facts(folder, group=None):
    return {image.path: image[1:4] for image in list_images("webdataset", folder, group).images}


def samples(count=30, splits=("train",), labels=("cat", "dog")):
    for number in range(count):
        split, label = splits[number % len(splits)], labels[number % len(labels)]
        yield Sample(split, f"{number:05d}", label, "png", png_bytes(RGB_NHW3[number]))


def error_of(folder):
    with pytest.raises(UnchokeError) as caught:
        list_images("webdataset", folder)
    return str(caught.value)


def contents_of(folder):
    """The bytes of every image by its path."""
    paths = [image.path for image in list_images("webdataset", folder).images]
    return {path: reader() for path, reader in zip(paths, open_images("webdataset", folder, paths), strict=True)}


# --- there and back


@given(
    count=st.integers(1, 30),
    per_shard=st.integers(1, 12),
    splits=st.lists(st.sampled_from(["train", "val", "test", ""]), min_size=1, max_size=4),
)
def test_what_is_written_is_listed_and_read_back(count, per_shard, splits):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = write_shards(folder, samples(count, splits), per_shard)
        assert sorted(folder.iterdir()) == shards
        images = list_images("webdataset", folder).images
        read = contents_of(folder)
        found = {image.path.split("/")[1]: (image.split, image.label, read[image.path]) for image in images}
    assert found == {f"{s.key}.png": (s.split, s.label, s.data) for s in samples(count, splits)}


def test_shards_are_filled_one_after_the_other_and_named_by_split(tmp_path):
    shards = write_shards(tmp_path, samples(10, ("train", "train", "")), 3)
    counts = {shard.name: len(members_of(shard)) // 2 for shard in shards}
    assert counts == {
        "images-000000.tar": 3,
        "train-000000.tar": 3,
        "train-000001.tar": 3,
        "train-000002.tar": 1,
    }


def test_the_same_samples_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_shards(tmp_path / name, samples(), 7)
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert [(tmp_path / "a" / file).read_bytes() for file in files] == [
        (tmp_path / "b" / file).read_bytes() for file in files
    ]
    with tarfile.open(tmp_path / "a" / files[0]) as tar:
        assert {(info.mtime, info.uid, info.gid, info.uname) for info in tar} == {(0, 0, 0, "")}


def test_a_writer_that_stops_leaves_whole_shards_alone(tmp_path):
    def stopping():
        yield from samples(5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path, stopping(), 2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["train-000000.tar", "train-000001.tar"]
    assert [len(members_of(file)) for file in sorted(tmp_path.iterdir())] == [4, 4]
    with pytest.raises(UnchokeError, match=r"train-000000\.tar and 1 more"):
        write_shards(tmp_path, samples(), 2)


# --- beside WebDataset itself


def test_webdataset_reads_what_is_written(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    shards = write_shards(tmp_path, samples(), 7)
    read = webdataset.WebDataset([str(shard) for shard in shards], shardshuffle=False)
    found = [(sample["__key__"], sample["cls"].decode(), sample["png"]) for sample in read]
    assert found == [(s.key, s.label, s.data) for s in samples()]


def test_what_webdataset_writes_is_read(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.ShardWriter(str(tmp_path / "val-%04d.tar"), maxcount=11, verbose=0) as writer:
        for number, pixels in enumerate(RGB_NHW3):
            writer.write({"__key__": f"folder/{number:03d}", "png": pixels, "cls": number % 3, "json": {"label": "no"}})
    images = list_images("webdataset", tmp_path).images
    assert [image.path for image in images] == [f"val-{n // 11:04d}.tar/folder/{n:03d}.png" for n in range(30)]
    assert [(image.label, image.split) for image in images] == [(str(n % 3), "val") for n in range(30)]
    for reader, pixels in zip(open_images("webdataset", tmp_path, [i.path for i in images]), RGB_NHW3, strict=True):
        np.testing.assert_array_equal(decode_image(reader(), max_pixels=100), pixels)


KEYS = st.from_regex(r"(\./|d\.x/|e/)?[ab]{1,2}", fullmatch=True)
ENDINGS = st.sampled_from(["png", "cls", "a.PNG", "JPG", "json"])


@given(st.lists(st.tuples(KEYS, ENDINGS), max_size=12, unique=True))
def test_samples_are_those_of_webdataset(names):
    tariterators = pytest.importorskip("webdataset.tariterators")
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{key}.{ending}" for key, ending in sorted(names)]
        shard = write_tar(Path(folder) / "a.tar", [(name, b"{}" if name.endswith("json") else b"1") for name in names])
        stream = [{"fname": name, "data": name, "__url__": ""} for name in names]
        expected = [
            {value for key, value in sample.items() if key in ("png", "jpg")}
            for sample in tariterators.group_by_keys(stream)
        ]
        if any(len(images) > 1 for images in expected):
            assert "two images" in error_of(Path(folder))
        elif not any(expected):
            assert "There are no images" in error_of(Path(folder))
        else:
            found = [image.path for image in list_images("webdataset", Path(folder)).images]
            assert found == [f"a.tar/{name}" for images in expected for name in images]
        assert len(members_of(shard)) == len(names)


# --- listing


SHARDS = {
    "train-000.tar": "train",
    "VALID_1.tar": "val",
    "testing.tar": "test",
    "training/part-0.tar": "train",
    "test/train-0.tar": "test",
    "parts/val-0.tar": "val",
    "trains-0.tar": "",
    "0.tar": "",
}


@pytest.mark.parametrize("other", ["", "testimonials/0.tar"])
def test_splits_come_from_the_first_folder_or_the_shards_name(tmp_path, other):
    shards = {name: split for name, split in SHARDS.items() if not (other and name.startswith("training/"))}
    for name in [*shards, other or "__MACOSX/train/0.tar", ".git/0.tar", "._train-000.tar"]:
        write_tar(tmp_path / name, [("1.png", b"x")])
    expected = {f"{name}/1.png": split for name, split in (shards | ({other: ""} if other else {})).items()}
    assert {path: fact[1] for path, fact in facts(tmp_path).items()} == expected


def test_shards_in_a_folder_beside_those_of_splits_stop_the_run(tmp_path):
    for name in ["train/0.tar", "val/0.tar", "parts/val-0.tar", "unlabeled/0.tar"]:
        write_tar(tmp_path / name, [("1.png", b"x")])
    message = error_of(tmp_path)
    assert "train/ and val/ are here, and 'unlabeled' is no split" in message and "1 files" in message


def test_labels_groups_sizes_and_what_is_left_out(tmp_path):
    shard = write_tar(
        tmp_path / "train-0.tar",
        [
            ("p1/a.jpg", b"xyz"),
            ("p1/a.cls", b" cat\n"),
            ("p1/a.json", b'{"label": "dog"}'),
            ("p1/a.seg.png", b"mask"),
            ("p2/b.json", b'{"label": 7}'),
            ("p2/b.JPEG", b"x"),
            ("p2/c.png", b""),
            ("p2/c.json", b'{"caption": "none"}'),
            ("p3/d.cls", b"0"),
            ("__meta__/e.png", b"x"),
            ("README", b"x"),
        ],
    )
    os.utime(shard, ns=(5, 5))
    listing = list_images("webdataset", tmp_path, r"p\d")
    assert listing.images == [
        ("train-0.tar/p1/a.jpg", "cat", "train", "p1", 3, 5),
        ("train-0.tar/p2/b.JPEG", "7", "train", "p2", 1, 5),
        ("train-0.tar/p2/c.png", "", "train", "p2", 0, 5),
    ]
    assert listing.left_out == {".seg.png": 1, "sample without an image": 1}
    empty, gone = open_images("webdataset", tmp_path, ["train-0.tar/p2/c.png", "train-0.tar/p2/z.png"])
    for reader, reason in ((empty, "empty file"), (gone, "not in its shard any more")):
        with pytest.raises(UnreadableImageError, match=reason):
            reader()


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_foreign_names_are_read(tmp_path, tar_format):
    names = ["a" * 90 + "/é 猫.png", "b.png"]
    write_tar(tmp_path / "0.tar", [(name, name.encode()) for name in names], tar_format)
    found = [image.path for image in list_images("webdataset", tmp_path).images]
    assert found == [f"0.tar/{name}" for name in names]
    assert [reader() for reader in open_images("webdataset", tmp_path, found)] == [name.encode() for name in names]


def test_a_shard_that_is_replaced_is_read_anew(tmp_path):
    for data in (b"one", b"three"):
        write_tar(tmp_path / "0.tar", [("x.txt", data * 500), ("1.png", data)])
        assert open_images("webdataset", tmp_path, ["0.tar/1.png"])[0]() == data


def test_the_digest_stays_until_a_shard_changes_and_opens_none(tmp_path):
    for name in ("train-0.tar", "val/0.tar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no tar")
    (tmp_path / "README").touch()
    first = listing_digest("webdataset", tmp_path)
    assert listing_digest("webdataset", tmp_path) == first
    digests = {first, listing_digest("webdataset", tmp_path, "p")}
    os.utime(tmp_path / "val/0.tar", ns=(1, 1))
    digests.add(listing_digest("webdataset", tmp_path))
    (tmp_path / "train-0.tar").rename(tmp_path / "train-1.tar")
    digests.add(listing_digest("webdataset", tmp_path))
    assert len(digests) == 4
    code = f"""
import sys, pathlib
from unchoke.sources.source import listing_digest
listing_digest("webdataset", pathlib.Path({str(tmp_path)!r}))
print(*sys.modules)"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "PIL", "pandas", "torch"} & set(loaded)


# --- errors


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8])
def test_a_shard_that_is_cut_short_is_named(tmp_path, share):
    (shard,) = write_shards(tmp_path, samples(), 100)
    data = shard.read_bytes()
    shard.write_bytes(data[: int(share * len(data))])
    message = error_of(tmp_path)
    assert "cut short" in message and str(shard) in message
    with pytest.raises(UnreadableImageError, match="cut short"):
        open_images("webdataset", tmp_path, ["train-000000.tar/00000.png"])[0]()


def test_a_shard_that_is_cut_between_two_members_is_named(tmp_path):
    (shard,) = write_shards(tmp_path, samples(), 100)
    (fourth,) = [member for member in members_of(shard) if member.name == "00004.png"]
    shard.write_bytes(shard.read_bytes()[: fourth.offset - tarfile.BLOCKSIZE])
    assert "cut short" in error_of(tmp_path)


@pytest.mark.parametrize("name", ["a.tar.gz", "train/b.tgz", "c.TAR.ZST"])
def test_compressed_shards_are_refused(tmp_path, name):
    write_shards(tmp_path, samples(), 100)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    message = error_of(tmp_path)
    assert "compressed" in message and name in message


def test_a_compressed_shard_with_a_plain_name_is_refused(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w:gz"):
        pass
    assert "no plain tar" in error_of(tmp_path)


ERRORS = {
    "A sample has two images": [("a.png", b"x"), ("a.jpg", b"x")],
    "Two samples have one name": [("a.png", b"x"), ("b.png", b"x"), ("a.png", b"x")],
    "The .json of a sample cannot be read": [("a.png", b"x"), ("a.json", b"{")],
    "a list": [("a.png", b"x"), ("a.json", b"[]")],
    "There are no images": [("a.txt", b"x")],
}


@pytest.mark.parametrize("problem", ERRORS)
def test_what_is_wrong_with_a_shard_is_said(tmp_path, problem):
    write_tar(tmp_path / "0.tar", ERRORS[problem])
    message = error_of(tmp_path)
    assert problem in message and str(tmp_path) in message


def test_a_folder_that_is_none_and_a_path_of_no_shard_are_refused(tmp_path):
    assert "nothing" in error_of(tmp_path / "gone")
    with pytest.raises(UnchokeError, match=r"cat/1\.png"):
        open_images("webdataset", tmp_path, ["cat/1.png"])


# --- the command


def test_any_source_can_be_written_to_shards(tmp_path, capsys):
    np.save(tmp_path / "x.npy", RGB_NHW3)
    np.save(tmp_path / "y.npy", np.arange(30) % 2)
    images = tmp_path / "images"
    for name, data in [*list(digit_files().items())[:60], ("0/cut.png", b"x")]:
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).write_bytes(data)
    fields = {"images": {"": "x.npy"}, "labels": {"": "y.npy"}}
    manifest = tmp_path / "manifest.csv"
    for kind, root, where in (("npy", tmp_path, fields), ("folder", images, {})):
        build_manifest(kind, root, None, SplitSettings(0, 0.2, 0.2), 8, manifest, tmp_path / "rows", where)
        if kind == "folder":
            (images / "1/0001.png").unlink()
        flags = {"manifest": manifest, "kind": kind, "root": root, "folder": tmp_path / f"{kind} shards"}
        command.main([*(f"--{name}={value}" for name, value in flags.items()), "--per-shard=8"])
    shown = capsys.readouterr().out
    assert "30 images in" in shown and "left out: 1/0001.png: no such file or directory" in shown

    listed = list_images("webdataset", tmp_path / "npy shards").images
    read = contents_of(tmp_path / "npy shards")
    pixels = {path[-13:]: np.asarray(Image.open(io.BytesIO(data))) for path, data in read.items()}
    assert sorted(pixels) == [f"{row:09d}.png" for row in range(30)]
    np.testing.assert_array_equal([pixels[name] for name in sorted(pixels)], RGB_NHW3)
    assert {image.path[-13:-4]: image.label for image in listed} == {f"{row:09d}": str(row % 2) for row in range(30)}
    assert {image.split for image in listed} == {"train", "val", "test"}

    expected = [file.read_bytes() for file in images.rglob("*.png")]
    assert sorted(contents_of(tmp_path / "folder shards").values()) == sorted(expected)


def test_facts_of_a_sample_may_be_of_any_json_type(tmp_path):
    for number, label in enumerate([None, True, 1.5, "x"]):
        write_tar(tmp_path / f"{number}.tar", [("a.png", b"x"), ("a.json", json.dumps({"label": label}).encode())])
    assert [fact[0] for fact in facts(tmp_path).values()] == ["", "True", "1.5", "x"]
