"""The files in a tar shard: the places of their bytes, in one piece or several, and the targets of links."""

import posixpath
import re
import tarfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from unchoke.errors import UnchokeError
from unchoke.regular_files import MOST_BYTES, check_regular, named, open_regular
from unchoke.texts import clean_text

MOST_INDEXES = 8  # of shards, kept by a process: some 400 bytes a file in them
_MOST_LINKS = 40  # one behind the other, as in Linux

_NAME = re.compile(r"(?s)((?:.*/|)[^.]+)[.]([^/]*)")  # WebDataset's rule: tariterators.base_plus_ext
_META = re.compile(r"__[^/]*__(/|$)")  # which WebDataset leaves out: tariterators.tar_file_iterator
_BROKEN = (tarfile.TarError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, RecursionError)


class Member(NamedTuple):
    """A file in a shard."""

    name: str
    key: str
    """Its folder and name up to the first dot, cleaned by ``clean_text``; all files of a sample share it."""
    ending: str
    """What is behind that dot, in lower case."""
    offset: int
    """Of its bytes in the shard."""
    size: int
    """Bytes; -1 where there are none."""
    pieces: tuple[tuple[int, int], ...] | None = None
    """Of a sparse file: offset in the file and length of each piece; they follow each other in the shard, and between
    them the file is zero. None where all bytes lie in one piece."""
    fault: str = ""
    """Why there are no bytes, as behind a link that leads nowhere."""


def members_of(shard: Path) -> tuple[Member, ...]:
    """The files in a shard that belong to samples, in order; kept while the shard's size and time stay.

    Links have the bytes of the file that they lead to. UnchokeError where it is no plain tar, ends too early, or goes
    on behind its end.
    """
    with named("A shard cannot be read.", shard, "put the shard in its place"):
        check_regular(shard)
    stat = shard.stat()
    return _members(shard.absolute(), stat.st_size, stat.st_mtime_ns)  # commands come from several folders


@lru_cache(maxsize=MOST_INDEXES)
def _members(shard: Path, size: int, mtime_ns: int) -> tuple[Member, ...]:
    try:
        with open_regular(shard) as file, tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as tar:
            found = _resolved(list(_headers(tar)))
            _check_end(file, tar.offset, size, shard)
    except _BROKEN as error:
        raise UnchokeError(
            "A shard is cut short, or no plain tar.",
            found=str(error) or type(error).__name__,
            expected="a tar that is not compressed, with its mark of the end",
            where=str(shard),
            do="copy or download it again, or unpack it: gunzip",
        ) from None
    return tuple(member for member in found if _NAME.fullmatch(member.name) and not _META.match(member.name))


def _headers(tar: tarfile.TarFile) -> Iterator[tuple[Member, str, bool]]:
    """Every member but folders; of a link the name that it leads to, and whether the file must stand before it."""
    while info := tar.next():
        tar.members = []  # type: ignore[attr-defined]  # or it would hold every header
        if info.size < 0:
            raise tarfile.ReadError(f"{info.name!r} has {info.size:,} bytes")
        if info.isdir():
            continue
        info.name = info.pax_headers.get("GNU.sparse.name", info.name)  # beside it, the path is a stand-in
        named = _NAME.fullmatch(info.name)
        key, ending = (clean_text(named[1]), named[2].lower()) if named else (info.name, "")
        member = Member(info.name, key, ending, info.offset_data, info.size)
        if info.issparse():
            yield member._replace(pieces=_pieces(info, tar.offset)), "", False
        elif info.islnk():
            yield member, info.linkname, True
        elif info.issym():
            yield member, posixpath.join(posixpath.dirname(info.name), info.linkname), False
        elif info.isreg():
            yield member, "", False
        else:
            yield member._replace(size=-1, fault="not a regular file in its shard"), "", False


def _pieces(info: tarfile.TarInfo, end: int) -> tuple[tuple[int, int], ...]:
    """Offset and length of the pieces of a sparse file; ReadError where they do not fit.

    end: where the next header stands in the shard.
    """
    stated = cast(list[tuple[int, int]], info.sparse)
    pieces = tuple((start, length) for start, length in stated if length)  # unused places of a header are (0, 0)
    place = 0
    for start, length in pieces:
        if start < place or length < 0 or start + length > info.size:
            raise tarfile.ReadError(f"the pieces of the sparse file {info.name!r} do not fit into it")
        place = start + length
    stored = sum(length for _, length in pieces)
    if -(-stored // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE != end - info.offset_data:
        raise tarfile.ReadError(f"the pieces of the sparse file {info.name!r} are not as long as what is stored of it")
    return pieces


def _resolved(headers: list[tuple[Member, str, bool]]) -> list[Member]:
    """The members in order, each link with the bytes of its file, or with the reason why it has none."""
    if not any(target for _, target, _ in headers):
        return [member for member, _, _ in headers]
    places: dict[str, list[int]] = {}
    for place, (member, _, _) in enumerate(headers):
        places.setdefault(posixpath.normpath(member.name), []).append(place)
    found = []
    for place, (member, first, _) in enumerate(headers):
        at = place
        for _ in range(_MOST_LINKS):
            _, target, before = headers[at]
            if not target:
                break
            there = [other for other in places.get(posixpath.normpath(target), []) if other < at or not before]
            if not there:
                break
            at = there[-1]
        file, target, _ = headers[at]
        if target:
            file = file._replace(
                offset=0, size=-1, pieces=None, fault=f"a link to {first!r}, which is not in its shard"
            )
        found.append(file._replace(name=member.name, key=member.key, ending=member.ending))
    return found


def _check_end(file: BinaryIO, end: int, size: int, shard: Path) -> None:
    """ReadError where no mark of the end follows the members; UnchokeError where more than zeros follow that."""
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError(f"no member and no end of the archive at byte {end:,} of {size:,}")
    while block := file.read(2**20):
        if rest := block.lstrip(tarfile.NUL):
            raise UnchokeError(
                "A shard goes on behind its end, as tars do that were joined with cat.",
                found=f"the mark of the end at byte {end:,}, and more than zeros at byte {file.tell() - len(rest):,}",
                expected="nothing behind the mark of the end",
                where=str(shard),
                do="keep a shard for each tar, or join them with tar --concatenate",
            )


def read_member(shard: Path, member: Member) -> bytes:
    """The bytes of a file in a shard; OSError where the shard cannot be opened, UnchokeError where it has no bytes."""
    if member.fault or member.size > MOST_BYTES:
        raise UnchokeError(
            f"{member.fault or f'{member.size:,} bytes, more than are read whole'}.".capitalize(),
            expected="a file, or a link to a file of the same shard",
            where=f"{shard}, {member.name}",
            do="write the shard again: tar --dereference",
        )
    with open_regular(shard) as file:
        file.seek(member.offset)
        if member.pieces is None:
            return file.read(member.size)
        data = bytearray(member.size)
        for start, length in member.pieces:
            data[start : start + length] = file.read(length)
        return bytes(data)
