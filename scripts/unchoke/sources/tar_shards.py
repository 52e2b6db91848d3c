"""Tar shards of WebDataset: consecutive files with the same name up to its first dot are one sample."""

import io
import os
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from unchoke.errors import UnchokeError
from unchoke.files import open_temporary_file, sync_folder
from unchoke.sources.source import open_images

UNSPLIT = "images"  # prefix of shards whose samples have no split


class Sample(NamedTuple):
    """An image to be written to a shard."""

    split: str
    """train, val, test or empty."""
    key: str
    """Its name without a dot; no other sample has it."""
    label: str
    """Empty: none is written."""
    ending: str
    """Of the image's file, ``png`` for instance."""
    data: bytes
    """The bytes of the image's file."""


def samples_of(
    kind: str, root: Path, rows: Iterable[tuple[int, str, str, str]], skipped: dict[str, str]
) -> Iterator[Sample]:
    """The images of a source as samples, by the numbers of their images: files as they are, rows of arrays as PNG.

    rows: image_id, path, label and split. skipped: takes the path of every image that cannot be read, and why.
    """
    from unchoke.errors import UnreadableImageError
    from unchoke.sources.kinds.digits import png_bytes
    from unchoke.sources.kinds.folder import IMAGE_ENDINGS

    rows = list(rows)
    readers = open_images(kind, root, [path for _, path, _, _ in rows])
    for (image_id, path, label, split), reader in zip(rows, readers, strict=True):
        try:
            data = reader()
        except UnreadableImageError as error:
            skipped[path] = str(error)
            continue
        if not isinstance(data, bytes):
            data, path = png_bytes(data), "row.png"
        ending = Path(path).suffix.lower()
        if ending not in IMAGE_ENDINGS:
            skipped[path] = f"its ending, {ending or 'none'}, is not one that readers of shards take for an image's"
            continue
        yield Sample(split, f"{image_id:09d}", label, ending.removeprefix("."), data)


def write_shards(folder: Path, samples: Iterable[Sample], per_shard: int) -> list[Path]:
    """Write ``<folder>/<split>-<number>.tar`` with `per_shard` samples each, the last ones with fewer; return them.

    A sample is its image and, where it has a label, a file .cls with it. The same samples give the same bytes. A shard
    takes its place when it is whole. UnchokeError where the folder has shards already.
    """
    if there := sorted(file.name for file in folder.glob("*.tar")):
        raise UnchokeError(
            "The folder has shards already.",
            found=f"{there[0]}" + (f" and {len(there) - 1} more" if len(there) > 1 else ""),
            expected="a folder without *.tar, or none",
            where=str(folder),
            do="delete them, or choose another folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    unfinished: dict[str, _UnfinishedShard] = {}
    written, begun = [], Counter[str]()
    try:
        for sample in samples:
            split = sample.split or UNSPLIT
            if split not in unfinished:
                unfinished[split] = _UnfinishedShard(folder / f"{split}-{begun[split]:06d}.tar")
                begun[split] += 1
            unfinished[split].add(sample)
            if unfinished[split].samples == per_shard:
                written.append(unfinished.pop(split).finish())
        written += [unfinished.pop(split).finish() for split in list(unfinished)]
    finally:
        for shard in unfinished.values():
            shard.abandon()
    return sorted(written)


class _UnfinishedShard:
    """A shard that is being written beside its place."""

    def __init__(self, place: Path) -> None:
        self.samples = 0
        self._place = place
        self._file = open_temporary_file(place)
        self._temporary = Path(self._file.name)
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, sample: Sample) -> None:
        """Put a sample's files at the end."""
        self._add(f"{sample.key}.{sample.ending}", sample.data)
        if sample.label:
            self._add(f"{sample.key}.cls", sample.label.encode("utf-8", "surrogateescape"))
        self.samples += 1

    def _add(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)  # of the year 1970, of owner 0, for all to read
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))

    def finish(self) -> Path:
        """Put the shard in its place and return that."""
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._temporary.replace(self._place)
        self._file.close()
        sync_folder(self._place.parent)
        return self._place

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._temporary.unlink(missing_ok=True)
        self._file.close()
