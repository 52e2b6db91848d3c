"""The most confident mistakes of a head, as pictures with words."""

from collections.abc import Iterator
from dataclasses import dataclass

from unchoke.page.files import PageFiles
from unchoke.page.pictures import Inline, small_picture
from unchoke.page.verdict import Row
from unchoke.report.mistakes import percent, worst_mistakes
from unchoke.report.results import read_head

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

    tiles: list[Tile]
    wrong: int
    images: int


def mistakes_of(files: PageFiles, row: Row) -> Mistakes:
    """Wrong predictions of a head that classifies, the most confident first."""
    head = read_head(files.group(row))
    wrong = int((head.probability_NC.argmax(1) != head.label_N).sum())
    rows = worst_mistakes(head.label_N, head.probability_NC, MOST)
    paths = files.paths_of(head.image_id_N[rows].tolist())
    classes, probability_MC = head.facts["classes"], head.probability_NC[rows]
    said = [
        (classes[label], classes[int(probability_C.argmax())], float(probability_C.max()))
        for label, probability_C in zip(head.label_N[rows], probability_MC, strict=True)
    ]
    return Mistakes(list(_tiles(files, paths, said)), wrong, len(head.label_N))


def _tiles(files: PageFiles, paths: list[str], said: list[tuple[str, str, float]]) -> Iterator[Tile]:
    for path, (label, predicted, sure), picture in zip(paths, said, files.pictures(paths, SIDE_PX), strict=True):
        alt = f"Image {path}: {label}, taken for {predicted}"
        shown = picture if isinstance(picture, str) else small_picture(picture)
        yield Tile(shown, f"{label} → {predicted}", (f"{percent(sure)} sure", path), alt)
