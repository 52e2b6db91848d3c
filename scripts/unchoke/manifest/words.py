"""The words of images: mended outlines, words in quarantine, and the rows from which maps of patches are drawn."""

import importlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from unchoke.files import write_if_changed
from unchoke.manifest.masks import SIDES, measure, size_text, unusable
from unchoke.manifest.rows import write_rows
from unchoke.names import NO_LABEL, NO_WORDS
from unchoke.polygons.maps import Window, bounds_of, touches
from unchoke.polygons.mend import mend
from unchoke.polygons.word import Corners
from unchoke.sources.kinds.text import Annotations
from unchoke.store import tables


class Region(NamedTuple):
    """A word that counts, or an ignored region."""

    outline: Corners
    ignored: bool


class WordTruths:
    """The words of a source.

    <folder>/words.csv               the outlines of words and ignored regions of all usable images
    <folder>/quarantined_words.csv   words that cannot be used, with file, place and reason
    <folder>/mask_rows/<chunk>.csv   by patch the outlines that touch it, from which its maps are drawn
    """

    def __init__(self, kind: str, path: Path, group: str | None) -> None:
        read_words = importlib.import_module(f"unchoke.sources.kinds.{kind}").read_words
        self._annotations: dict[str, Annotations] = read_words(path, group)
        self._regions: dict[int, list[Region]] = {}
        self._words: list[tuple[object, ...]] = []
        self._quarantined: list[tuple[object, ...]] = []

    @property
    def notes(self) -> list[str]:
        """What is in quarantine, for the log."""
        if not self._quarantined:
            return []
        counts = Counter(str(row[4]) for row in self._quarantined).most_common(5)
        reasons = ", ".join(f"{count} × {reason}" for reason, count in counts)
        return [f"words that cannot be used: {len(self._quarantined)} ({reasons}); see quarantined_words.csv"]

    def attach(self, frame: pd.DataFrame, root: Path) -> pd.DataFrame:
        """The manifest with each image's height and width, px, 0 where unreadable; unusable images are marked with the
        reason. The words of the others are mended."""
        frame = frame.replace({"excluded": {NO_LABEL: NO_WORDS}})
        for image_id, path, excluded in frame[["image_id", "path", "excluded"]].itertuples(index=False):
            if not excluded and (fault := self._annotations[path].fault):
                frame.loc[image_id, "excluded"] = f"its gt file: {fault}"
        measure(frame, root, [""] * len(frame))
        for image_id, path, excluded, *sides in frame[["image_id", "path", "excluded", *SIDES]].itertuples(index=False):
            if excluded:
                continue
            if fault := _other_size(self._annotations[path], sides):
                frame.loc[image_id, "excluded"] = fault
            else:
                self._mend(image_id, path, sides)
        return frame

    def _mend(self, image_id: int, path: str, sides: Sequence[int]) -> None:
        file, words, *_ = self._annotations[path]
        found = self._regions[image_id] = []
        for word in words:
            outlines, reason = mend(word, *sides)
            ignored = word.ignored or bool(reason)
            found += [Region(outline, ignored) for outline in outlines]
            self._words += [
                (image_id, _numbers(outline), word.text, int(ignored), file, word.place) for outline in outlines
            ]
            if reason:
                self._quarantined.append((image_id, path, file, word.place, reason, len(outlines)))

    def write(self, rows: pd.DataFrame, size: int, per_chunk: int, folder: Path) -> dict[str, object]:
        """Write the tables and ``mask_rows``. rows: patches with the columns of ``attach``. size: of a patch, px.

        Returns what the manifest's record says of words.
        """
        write_if_changed(folder / "words.csv", tables.table_bytes(tables.WORD_COLUMNS, self._words))
        write_if_changed(
            folder / "quarantined_words.csv", tables.table_bytes(tables.WORD_QUARANTINE_COLUMNS, self._quarantined)
        )
        texts = pd.Series(list(_texts(rows, self._regions, size)), rows.index, dtype=object)
        sides = {name: rows[f"{name}_image"] for name in SIDES}
        of_maps = rows.assign(words=texts.where(~unusable(rows), ""), **sides)
        write_rows(of_maps, tables.TEXT_ROW_COLUMNS, per_chunk, folder / "mask_rows")
        ignored = sum(region.ignored for regions in self._regions.values() for region in regions)
        counts = {"words": len(self._words) - ignored, "ignored_words": ignored}
        return {**counts, "quarantined_words": len(self._quarantined)}


def _other_size(found: Annotations, sides: Sequence[int]) -> str:
    """What is wrong where the annotations are of an image of another size; else empty."""
    said = (found.height, found.width)
    if not all(said) or said == tuple(sides):
        return ""
    return f"words of an image of {size_text(said)} for one of {size_text(sides)}"


def _numbers(outline: Corners) -> str:
    return " ".join(f"{value:.15g}" for corner in outline for value in corner)


def _texts(rows: pd.DataFrame, regions: dict[int, list[Region]], size: int) -> Iterator[str]:
    """The regions that touch each patch, as ``tables.TEXT_ROW_COLUMNS`` has them."""
    bounds = {image: [bounds_of(region.outline) for region in found] for image, found in regions.items()}
    for image, y0, x0 in rows[["image_id", "y0", "x0"]].itertuples(index=False):
        window, found = Window(y0, x0, size, size), regions.get(image, [])
        near = [region for region, reach in zip(found, bounds.get(image, []), strict=True) if touches(reach, window)]
        yield json.dumps([[region.outline, region.ignored] for region in near], separators=(",", ":"))
