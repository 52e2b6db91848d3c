"""Members of a tar whose bytes do not lie in one piece, or that have none of their own, are read as tar reads them."""

import io
import json
import subprocess
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.sources.source import list_images, open_images
from unchoke.sources.tar_members import members_of, read_member

FORMS = {
    "GNU": ["--format=gnu"],
    "pax 0.0": ["--format=pax", "--sparse-version=0.0"],
    "pax 0.1": ["--format=pax", "--sparse-version=0.1"],
    "pax 1.0": ["--format=pax", "--sparse-version=1.0"],
}
NAMES = ["a.bmp", "a.cls", "a.json", "d/é 猫.bmp", f"{'long' * 40}.bmp", "z.bmp"]


def contents(folder):
    """Label and bytes of every image by its path."""
    images = list_images("webdataset", folder).images
    readers = open_images("webdataset", folder, [image.path for image in images])
    return {image.path: (image.label, reader()) for image, reader in zip(images, readers, strict=True)}


def sparse(folder, name, start, size):
    """A file that is a hole up to `start`, and between each of many pieces."""
    rng = np.random.default_rng(len(name))
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("wb") as file:
        for place in range(start, size, 3 * 4096):
            file.seek(place)
            file.write(rng.integers(1, 256, 4096, np.uint8).tobytes())
        file.truncate(size)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [100_001, 700_000])  # few pieces, and more than a header has room for
def test_sparse_files_are_read_with_their_holes(tmp_path, form, size):
    files = tmp_path / "files"
    for name in NAMES:
        sparse(files, name, 8192, size)
    for name, data in {"a.cls": b"cat", "z.json": b'{"label": 7}'}.items():  # a hole before the text, and behind it
        (files / name).write_bytes(b"")
        with (files / name).open("wb") as file:
            file.write(data)
            if name == "a.cls":
                file.truncate(65_536)
    (files / "a.json").unlink()
    names = sorted(path.relative_to(files).as_posix() for path in files.rglob("*.*"))
    (tmp_path / "shards").mkdir()
    command = ["tar", "-S", *FORMS[form], "-cf", tmp_path / "shards/0.tar", "-C", files, *names]
    subprocess.run(command, check=True)
    assert (tmp_path / "shards/0.tar").stat().st_size < sum((files / name).stat().st_size for name in names)
    labels = {"a.bmp": "cat", "z.bmp": "7"}
    expected = {f"0.tar/{n}": (labels.get(n, ""), (files / n).read_bytes()) for n in names if n.endswith(".bmp")}
    assert contents(tmp_path / "shards") == expected


def write(path, entries):
    """A tar of names with bytes, or with the type and target of a link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, what in entries:
            info = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                info.size = len(what)
                tar.addfile(info, io.BytesIO(what))
            else:
                info.type, info.linkname = what
                tar.addfile(info)
    return path


HARD, SYMBOLIC, PIPE = tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE


def test_links_have_the_bytes_of_their_file(tmp_path):
    write(
        tmp_path / "0.tar",
        [
            ("a.png", b"one"),
            ("a.cls", b"cat"),
            ("b.png", (HARD, "a.png")),
            ("b.cls", (HARD, "./a.cls")),
            ("d/c.png", (SYMBOLIC, "../b.png")),
            ("d/c.cls", (SYMBOLIC, "e.cls")),
            ("d/e.png", b"two"),
            ("d/e.cls", b"dog"),
        ],
    )
    assert contents(tmp_path) == {
        "0.tar/a.png": ("cat", b"one"),
        "0.tar/b.png": ("cat", b"one"),
        "0.tar/d/c.png": ("dog", b"one"),
        "0.tar/d/e.png": ("dog", b"two"),
    }


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ((SYMBOLIC, "/etc/passwd"), "a link to '/etc/passwd', which is not in its shard"),
        ((SYMBOLIC, "../../etc/passwd"), "not in its shard"),
        ((SYMBOLIC, "b.png"), "not in its shard"),
        ((HARD, "z.png"), "not in its shard"),  # a hard link is to a file before it
        ((PIPE, ""), "not a regular file"),
    ],
)
def test_a_member_without_bytes_is_listed_with_its_reason(tmp_path, what, reason):
    write(tmp_path / "0.tar", [("a.png", b"x"), ("b.png", what), ("z.png", b"y")])
    images = {image.path: image.size_bytes for image in list_images("webdataset", tmp_path).images}
    assert images == {"0.tar/a.png": 1, "0.tar/b.png": -1, "0.tar/z.png": 1}
    with pytest.raises(UnreadableImageError, match=reason):
        open_images("webdataset", tmp_path, ["0.tar/b.png"])[0]()


def test_a_label_without_bytes_stops_the_run(tmp_path):
    write(tmp_path / "0.tar", [("a.png", b"x"), ("a.cls", (SYMBOLIC, "gone.cls"))])
    with pytest.raises(UnchokeError, match=r"(?s)A link to 'gone\.cls'.*0\.tar, a\.cls"):
        list_images("webdataset", tmp_path)


@pytest.mark.parametrize("behind", ["a tar", "one byte"])
def test_bytes_behind_the_end_are_never_ignored(tmp_path, behind):
    shard = write(tmp_path / "0.tar", [("a.png", b"x")])
    more = write(tmp_path / "more", [("b.png", b"y")]).read_bytes() if behind == "a tar" else b"\0" * 2_000_000 + b"\1"
    shard.write_bytes(shard.read_bytes() + more)
    with pytest.raises(UnchokeError, match=r"(?s)goes on behind its end.*0\.tar"):
        list_images("webdataset", tmp_path)
    shard.write_bytes(shard.read_bytes().rstrip(b"\1") if behind != "a tar" else shard.read_bytes()[: -len(more)])
    assert list(contents(tmp_path)) == ["0.tar/a.png"]


@pytest.mark.parametrize("ending", ["cls", "json", "png"])
def test_a_file_that_stands_twice_in_a_shard_is_named(tmp_path, ending):
    write(tmp_path / "0.tar", [("a.jpg" if ending != "png" else "a.txt", b"x"), *[(f"a.{ending}", b"{}")] * 2])
    with pytest.raises(UnchokeError, match=r"twice|two images"):
        list_images("webdataset", tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("label", ["caf\u00e9", "cafe\u0301", " caf\u00e9\n\0"])
def test_labels_of_samples_are_clean(tmp_path, encoding, label):
    write(
        tmp_path / "0.tar",
        [
            ("a.png", b"x"),
            ("a.cls", label.encode(encoding)),
            ("b.png", b"x"),
            ("b.json", json.dumps({"label": label}).encode(encoding)),
            ("caf\u00e9.png", b"x"),
            ("cafe\u0301.json", json.dumps({"label": 3.0}).encode(encoding)),
        ],
    )
    assert [image.label for image in list_images("webdataset", tmp_path).images] == ["caf\u00e9", "caf\u00e9", "3"]


@pytest.mark.parametrize("facts", [b'{"label": 1, "label": 2}', b"[" * 100_000, b"\xff\xfea"])
def test_a_json_that_cannot_be_read_is_named(tmp_path, facts):
    write(tmp_path / "0.tar", [("a.png", b"x"), ("a.json", facts)])
    with pytest.raises(UnchokeError, match=r"(?s)\.json of a sample cannot be read.*0\.tar, a\.json"):
        list_images("webdataset", tmp_path)


ENTRIES = st.one_of(st.binary(max_size=3), st.tuples(st.sampled_from([HARD, SYMBOLIC]), st.sampled_from("abc")))


@given(st.dictionaries(st.sampled_from("abc"), ENTRIES, min_size=1))
def test_links_lead_where_tarfile_says(tmp_path_factory, entries):
    link = {name: what if isinstance(what, bytes) else (what[0], f"{what[1]}.x") for name, what in entries.items()}
    shard = write(tmp_path_factory.mktemp("tar") / "0.tar", [(f"{name}.x", what) for name, what in link.items()])
    for member in members_of(shard):
        with tarfile.open(shard) as tar:
            try:
                file = tar.extractfile(member.name)
                expected = file.read() if file else None
            except (KeyError, RecursionError):
                expected = None
        if expected is None:
            with pytest.raises(UnchokeError):
                read_member(shard, member)
        else:
            assert read_member(shard, member) == expected
