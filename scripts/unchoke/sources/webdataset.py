"""Images in the tar shards of a WebDataset, read in place."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.locations import NO_FIELDS, SPLIT_NAMES, Fields
from unchoke.shards import Member, members_of, read_member
from unchoke.sources import ImageFile, Listing, Reader, entries_digest, size_and_time
from unchoke.sources.folder import IMAGE_ENDINGS, group_pattern

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
ALONE = "sample without an image"

_IN_SHARD = re.compile(r"(?s)(.+?\.tar)/(.+)")


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """The image of every sample of the shards (``*.tar``) below `path`: shards by name, samples as they lie in them.

    The label is what the sample's .cls holds, or ``label`` of its .json. The split is named by the shard's first
    folder, or by the letters that its name begins with: ``train-000.tar``.
    group: a regular expression searched in ``shard.tar/member``; its first group, or its whole match.
    UnchokeError where a shard is broken or compressed, or a sample has two images.
    """
    group_of = group_pattern(group)
    images: list[ImageFile] = []
    left_out = Counter[str]()
    for name in _shards(path):
        shard, split = path / name, _split_of(name)
        _, mtime_ns = size_and_time(shard)
        for image, label in _samples(shard, left_out):
            place = f"{name}/{image.name}"
            images.append(ImageFile(place, label, split, group_of(place), image.size, mtime_ns))
    return Listing(path, images, left_out)


def listing_digest(path: Path, group: str | None, fields: Fields) -> str:
    """Digest of the shards' names, sizes and times, and of what `group` makes of them; none is opened."""
    return entries_digest([("group", group), *((name, *size_and_time(path / name)) for name in _shards(path))])


def open_images(root: Path, names: Sequence[str]) -> list[Reader]:
    """A reader for each image, which gives the bytes of its file."""
    places = [_place_of(name) for name in names]
    shards = {shard: _Shard(root / shard) for shard, _ in places}
    return [partial(shards[shard].read, member) for shard, member in places]


class _Shard:
    """A shard whose index is read when the first of its images is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _members(self) -> dict[str, Member]:
        return {member.name: member for member in members_of(self._path)}

    def read(self, name: str) -> bytes:
        """The bytes of a member; UnreadableImageError where it is not there."""
        from unchoke.images import UnreadableImageError, faults_of_the_file, unreadable

        try:
            with faults_of_the_file():
                if name not in self._members:
                    raise UnreadableImageError("not in its shard any more")
                data = read_member(self._path, self._members[name])
        except UnchokeError as error:
            raise unreadable(error) from None
        if not data:
            raise UnreadableImageError("empty file")
        return data


def _place_of(name: str) -> tuple[str, str]:
    """Shard and member of an image's path."""
    if (match := _IN_SHARD.fullmatch(name)) is None:
        raise UnchokeError(
            "A path names no image in a shard.",
            found=repr(name),
            expected="shard and member: 'train-000.tar/0001.jpg'",
            do="build the manifest again, or correct the kind of source",
        )
    return match[1], match[2]


def _shards(path: Path) -> list[str]:
    """The paths of all shards below `path`, sorted; UnchokeError where the folder is missing or one is compressed."""
    if not path.is_dir():
        raise UnchokeError(
            "The folder of shards is missing.",
            found="a file" if path.exists() else "nothing",
            expected="a folder with *.tar",
            where=str(path.absolute()),
            do="correct dataset.path in the config; it is relative to the folder that snakemake runs in",
        )
    files = [Path(folder, name) for folder, _, names in os.walk(path, followlinks=True) for name in names]
    names = sorted(file.relative_to(path).as_posix() for file in files if not file.name.startswith("."))
    if packed := [name for name in names if name.lower().endswith(COMPRESSED)]:
        raise UnchokeError(
            "A shard is compressed, and so cannot be read in place.",
            found=f"{packed[0]}" + (f" and {len(packed) - 1} more" if len(packed) > 1 else ""),
            expected="*.tar: images are compressed already",
            where=str(path),
            do="unpack it: gunzip, or what its ending asks for",
        )
    return [name for name in names if name.endswith(".tar")]


def _split_of(name: str) -> str:
    """The split that a shard's first folder names, or else the letters that the shard's own name begins with."""
    first, _, rest = name.partition("/")
    letters = re.match(r"[a-z]*", Path(name).name.lower())
    by_name = SPLIT_NAMES.get(letters[0] if letters else "", "")
    return SPLIT_NAMES.get(first.lower(), by_name) if rest else by_name


def _samples(shard: Path, left_out: Counter[str]) -> Iterator[tuple[Member, str]]:
    """Image and label of every sample; what is neither is counted in `left_out` by its ending."""
    seen: set[str] = set()
    for key, files in groupby(members_of(shard), attrgetter("key")):
        members = list(files)
        images = [member for member in members if f".{member.ending}" in IMAGE_ENDINGS]
        if len(images) > 1 or key in seen:
            raise UnchokeError(
                "A sample has two images." if len(images) > 1 else "Two samples have one name.",
                found=", ".join(image.name for image in images) if len(images) > 1 else repr(key),
                expected="one image a sample, and the files of a sample behind each other",
                where=str(shard),
                do="write the shards again, or take the image out that is a mask or a second view",
            )
        seen.add(key)
        labels = {member.ending: member for member in members if member.ending in ("cls", "json")}
        left_out.update(f".{member.ending}" for member in members if member not in (*images, *labels.values()))
        if images:
            yield images[0], _label(shard, labels)
        else:
            left_out[ALONE] += 1


def _label(shard: Path, labels: dict[str, Member]) -> str:
    """What a sample's .cls says, or ``label`` of its .json; empty where neither says a thing."""
    if "cls" in labels:
        return read_member(shard, labels["cls"]).decode("utf-8", "surrogateescape").strip()
    if "json" not in labels:
        return ""
    try:
        facts = json.loads(read_member(shard, labels["json"]))
        if not isinstance(facts, dict):
            raise ValueError(f"a {type(facts).__name__}")
    except ValueError as error:
        raise UnchokeError(
            "The .json of a sample cannot be read.",
            found=str(error),
            expected='{"label": …}',
            where=f"{shard}, {labels['json'].name}",
            do="write the shard again",
        ) from None
    label = facts.get("label")
    return "" if label is None else str(label)
