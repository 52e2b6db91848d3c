"""The most confident mistakes of a head, as pictures with words."""

from collections.abc import Iterator
from dataclasses import dataclass

from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION
from unchoke.page.files import PageFiles
from unchoke.page.pictures import Inline, small_picture
from unchoke.page.verdict import Row, name_of
from unchoke.report.results import read_head
from unchoke.report.targets.worst import worst_of

MOST = 18
SIDE_PX = 160


@dataclass(frozen=True)
class Tile:
    """A picture with the words below it."""

    picture: Inline | str
    """Or why there is none."""
    title: str
    lines: tuple[str, ...]
    alt: str


@dataclass(frozen=True)
class Mistakes:
    """The worst of a head on test."""

    title: str
    tiles: list[Tile]
    told: str
    """What they are, or that there are none."""


_TITLES = {CLASSIFICATION: "Worst mistakes", MULTILABEL: "Worst mistakes", REGRESSION: "Largest errors"}
_TOLD = {
    CLASSIFICATION: ("The most confident come first: true class → predicted class. Wrong labels often show up here."),
    REGRESSION: "The largest errors come first: true → predicted. Wrong numbers often show up here.",
    MULTILABEL: "The least likely come first: true labels → given labels. Wrong labels often show up here.",
}


def mistakes_of(files: PageFiles, row: Row) -> Mistakes:
    """Wrong predictions of a head on whole images, the worst first."""
    head = read_head(files.group(row))
    worst, images = worst_of(head, MOST), f"{len(head.label_N):,} test images"
    paths = files.paths_of(head.image_id_N[worst.rows].tolist())
    wrong = "" if head.task == REGRESSION else f"{name_of(row)} is wrong on {worst.wrong:,} of {images}. "
    told = f"{wrong}{_TOLD[head.task]}" if worst.wrong else f"There are none: all {images} are right."
    tiles = list(_tiles(files, paths, worst.said, head.task))
    return Mistakes(_TITLES[head.task], tiles, told)


def _tiles(files: PageFiles, paths: list[str], said: list[tuple[str, str, str]], task: str) -> Iterator[Tile]:
    for path, (label, predicted, note), picture in zip(paths, said, files.pictures(paths, SIDE_PX), strict=True):
        alt = f"Image {path}: {label}, taken for {predicted}"
        shown = picture if isinstance(picture, str) else small_picture(picture)
        yield Tile(shown, f"{label} → {predicted}", (f"{note} sure" if task == CLASSIFICATION else note, path), alt)
