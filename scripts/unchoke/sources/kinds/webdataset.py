"""Images in the tar shards of a WebDataset, read in place."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.sources.kinds.folder import IMAGE_ENDINGS, folders_below, group_pattern
from unchoke.sources.locations import NO_FIELDS, SPLIT_NAMES, Fields
from unchoke.sources.source import ImageFile, Listing, Reader, entries_digest, size_and_time
from unchoke.sources.split_folders import split_folders, split_of_folder
from unchoke.sources.tar_members import Member, members_of, read_member
from unchoke.texts import clean_label, clean_text, decode_text

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
ALONE = "sample without an image"
READING = 2  # raised where labels or members are read otherwise, so that shards are listed anew

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
    names = _shards(path, left_out)
    _refuse_stray_folders(names, path)
    for name in names:
        shard, split = path / name, _split_of(name)
        _, mtime_ns = size_and_time(shard)
        for image, label in _samples(shard, left_out):
            place = f"{name}/{image.name}"
            images.append(ImageFile(place, label, split, group_of(place), image.size, mtime_ns))
    return Listing(path, images, left_out)


def listing_digest(path: Path, group: str | None, fields: Fields) -> str:
    """Digest of the shards' names, sizes and times, and of what `group` makes of them; none is opened."""
    return entries_digest(
        [
            ("group", group),
            ("reading", READING),
            *((name, *size_and_time(path / name)) for name in _shards(path, Counter())),
        ]
    )


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
        from unchoke.errors import UnreadableImageError
        from unchoke.images.decode import faults_of_the_file, unreadable

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


def _shards(path: Path, left_out: Counter[str]) -> list[str]:
    """The paths of all shards below `path`, sorted; UnchokeError where the folder is missing or one is compressed.

    left_out: takes the folders of the system, whose shards are none.
    """
    if not path.is_dir():
        raise UnchokeError(
            "The folder of shards is missing.",
            found="a file" if path.exists() else "nothing",
            expected="a folder with *.tar",
            where=str(path.absolute()),
            do="correct dataset.path in the config; it is relative to the folder that snakemake runs in",
        )
    names = sorted(folder + file.name for folder, files in folders_below(path, left_out) for file in files)
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
    return (split_of_folder(first) or by_name) if rest else by_name


def _refuse_stray_folders(names: list[str], path: Path) -> None:
    """UnchokeError where shards without a split lie in a folder beside folders of splits."""
    firsts = Counter(name.partition("/")[0] for name in names if "/" in name)
    stray = {name.partition("/")[0] for name in names if "/" in name and not _split_of(name)}
    counts = {first: count for first, count in firsts.items() if first in stray or split_of_folder(first)}
    if stray and "train" in map(split_of_folder, counts):
        split_folders(counts, None, str(path.absolute()))


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
        _refuse_twins(shard, members)
        left_out.update(f".{member.ending}" for member in members if member not in (*images, *labels.values()))
        if images:
            yield images[0], _label(shard, labels)
        else:
            left_out[ALONE] += 1


def _refuse_twins(shard: Path, members: list[Member]) -> None:
    """UnchokeError where two files of a sample have one name, of which readers would take either."""
    endings = Counter(member.ending for member in members)
    ending, count = endings.most_common(1)[0]
    if count > 1:
        raise UnchokeError(
            "A file stands in a shard twice.",
            found=" and ".join(repr(member.name) for member in members if member.ending == ending),
            expected="one file of each name",
            where=str(shard),
            do="write the shard again with one of them",
        )


def _label(shard: Path, labels: dict[str, Member]) -> str:
    """What a sample's .cls says, or ``label`` of its .json; empty where neither says a thing."""
    member = labels.get("cls") or labels.get("json")
    if member is None:
        return ""
    try:
        data = read_member(shard, member)
        return clean_label(decode_text(data) if member.ending == "cls" else _label_of_json(data))
    except (ValueError, RecursionError) as error:
        raise UnchokeError(
            f"The .{member.ending} of a sample cannot be read.",
            found=str(error),
            expected='{"label": …}' if member.ending == "json" else "text in UTF-8",
            where=f"{shard}, {member.name}",
            do="write the shard again",
        ) from None


def _label_of_json(data: bytes) -> str:
    """``label`` of an object; empty where it has none. ValueError where it is no object, or names the label twice."""
    text = clean_text(decode_text(data))
    facts = json.loads(text, object_pairs_hook=_once)
    if not isinstance(facts, dict):
        raise ValueError(f"a {type(facts).__name__}")
    label = facts.get("label")
    return "" if label is None or label != label else str(label)  # NaN stands for a missing one


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if [key for key, _ in pairs].count("label") > 1:
        raise ValueError("'label' stands there twice")
    return dict(pairs)
