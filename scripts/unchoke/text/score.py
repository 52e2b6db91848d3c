"""Stage: the words of a head's stitched probability maps, with thresholds chosen on val, and what they are worth.

H-mean, precision and recall are those of ``metrics.h_mean``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unchoke.files import write_atomic
from unchoke.manifest.images import in_use
from unchoke.metrics.evaluation import known_or_none, plain_figures
from unchoke.metrics.h_mean import STRATA, counts_of, figure_name, summarise
from unchoke.metrics.shapes import Polygon
from unchoke.metrics.word_matches import Overlaps, Words, matches_of, overlaps_of
from unchoke.stitching.score import whole_images
from unchoke.stitching.stitch import BANDS, PROBABILITY
from unchoke.store.zarr_bytes import open_group
from unchoke.text.boxes import BEYOND, Box, Found, Reading, boxes_of_bands
from unchoke.text.components import Band, Bands
from unchoke.text.thresholds import Chosen, choose_thresholds

TEXT = 1
"""Place of text among the two classes of the maps."""
HELD_PX = 2**24
"""Of a map that is held while its words are read with every threshold: 64 MB. Larger ones are read anew for each."""


@dataclass(frozen=True)
class Settings:
    """The section ``detection`` of the config."""

    binarise: Sequence[float]
    box_scores: Sequence[float]
    unclip: float
    min_side: float
    max_words: int
    outlines: bool
    protocol: str

    def reading(self, binarise: float, box_score: float) -> Reading:
        return Reading(binarise, box_score, self.unclip, self.min_side, self.max_words, self.outlines)


def score_text(
    scores: dict[str, Any], stitched: Path, manifest: pd.DataFrame, words: pd.DataFrame, settings: Settings
) -> dict[str, Any]:
    """The scores of ``score_masks`` with those of words, and with the words of every image.

    stitched: folder of the stitched maps, with their probabilities. manifest: of the images. words: the columns of
    ``tables.WORD_COLUMNS``. Of each image the result has `detections` and `words`, with what was found, and under
    `counts_of_words` the counts of ``h_mean.counts_of``. `reading` is how words were read. `tried` has the H-mean of
    val with all thresholds; None where val has no word that counts, and the first thresholds of the settings are taken.
    """
    images = scores["images"]
    true = {image: words_of(words, int(image)) for image in images}
    tried = _tried(stitched, images, true, settings)
    binarise, box_score = (tried.binarise, tried.box_score) if tried else (settings.binarise[0], settings.box_scores[0])
    read = {
        image: boxes_of_bands(read_bands(stitched, image), settings.reading(binarise, box_score)) for image in images
    }
    _warn_of_many(read, settings.max_words)
    found = {image: words_found.boxes for image, words_found in read.items()}
    overlaps = {image: overlaps_of(true[image], [box.polygon for box in found[image]]) for image in images}
    for image, entry in images.items():
        entry |= _entry(true[image], found[image], overlaps[image], settings.protocol)
    group_of = in_use(manifest).set_index("image_id")["group"]
    for split, figures in scores["figures"].items():
        figures |= _figures(split, images, group_of)
    reading = settings.reading(binarise, box_score)._asdict()
    return scores | {"protocol": settings.protocol, "reading": reading, "tried": _table(tried)}


def _warn_of_many(read: Mapping[str, Found], most: int) -> None:
    """Tell the log of images with more than `most` words, by their ids."""
    if many := {image: found.left_out[BEYOND] for image, found in read.items() if BEYOND in found.left_out}:
        first = ", ".join(list(many)[:5])
        print(
            f"warning: {len(many):,} images have more than {most:,} words (detection.max_words), such as {first}: "
            f"the {sum(many.values()):,} words with the lowest scores are left out",
            flush=True,
        )


def words_of(words: pd.DataFrame, image_id: int) -> Words:
    """The true words of an image."""
    rows = words[words["image_id"] == image_id]
    polygons = [np.array(text.split(), np.float64).reshape(-1, 2) for text in rows["polygon"]]
    return Words(polygons, rows["ignored"].to_numpy(bool))


def read_bands(stitched: Path, image: str) -> Bands:
    """The probability of text in a stitched map, a band of its chunks at a time."""
    probability = _probability(stitched, image)
    step = probability.chunks[1]
    for y0 in range(0, probability.shape[1], step):
        yield y0, np.asarray(probability[TEXT, y0 : y0 + step], np.float32)


def _probability(stitched: Path, image: str) -> Any:
    return open_group(stitched / f"{image}.zarr", jobs=BANDS)[PROBABILITY]


def _tried(
    stitched: Path, images: Mapping[str, Mapping[str, Any]], true: Mapping[str, Words], settings: Settings
) -> Chosen | None:
    """The best thresholds on val; None where no word of val counts, and H-mean is undefined."""
    val = whole_images(images, "val")
    if all(true[image].ignored.all() for image in val):
        return None
    boxes: dict[float, list[list[Box]]] = {binarise: [] for binarise in settings.binarise}
    for image in val:
        held = _held(stitched, image)
        for binarise, boxes_I in boxes.items():
            bands = held or read_bands(stitched, image)
            boxes_I.append(boxes_of_bands(bands, settings.reading(binarise, min(settings.box_scores))).boxes)
    return choose_thresholds([true[image] for image in val], boxes, settings.box_scores, settings.protocol)


def _held(stitched: Path, image: str) -> list[Band]:
    """The bands of a map that is read once for all thresholds; empty where it is too large to be held."""
    return list(read_bands(stitched, image)) if prod(_probability(stitched, image).shape[1:]) <= HELD_PX else []


def _entry(words: Words, boxes: Sequence[Box], overlaps: Overlaps, protocol: str) -> dict[str, Any]:
    """The counts of an image, its words and its detections, the surest first."""
    matches = matches_of(overlaps, protocol)
    kinds = np.where(overlaps.counted_D, "false alarm", "ignored").astype(object)
    kinds[matches.detection_P] = "hit"
    order = sorted(range(len(boxes)), key=lambda place: -boxes[place].score)
    found_W = np.isin(np.arange(len(words.polygons)), matches.word_P)
    return {
        "counts_of_words": counts_of(overlaps, matches).tolist(),
        "detections": [
            {"polygon": _rounded(boxes[place].polygon), "score": round(boxes[place].score, 4), "found": kinds[place]}
            for place in order
        ],
        "words": [
            {"polygon": _rounded(polygon), "ignored": bool(ignored), "found": bool(found)}
            for polygon, ignored, found in zip(words.polygons, words.ignored, found_W, strict=True)
        ],
    }


def _rounded(polygon: Polygon) -> list[list[float]]:
    corners: list[list[float]] = np.round(np.asarray(polygon, np.float64), 2).tolist()
    return corners


def _figures(split: str, images: Mapping[str, Mapping[str, Any]], group_of: pd.Series) -> dict[str, Any]:
    """Figures of words of a split by name; of a stratum ``h_mean.small``."""
    names = whole_images(images, split)
    counts_ISK = np.array([images[image]["counts_of_words"] for image in names], np.int64).reshape(-1, len(STRATA), 3)
    found = summarise(counts_ISK, group_of.loc[list(map(int, names))].to_numpy(object))
    return plain_figures(
        {figure_name(name, stratum): figure for stratum, each in found.items() for name, figure in each.items()}
    )


def _table(tried: Chosen | None) -> dict[str, Any] | None:
    """The thresholds that were tried, and the H-mean of val with each pair, (B, T)."""
    if tried is None:
        return None
    means = [[known_or_none(value) for value in row] for row in tried.h_means().tolist()]
    return {"binarise": tried.binarise_B.tolist(), "box_score": tried.box_score_T.tolist(), "h_mean": means}


def said(scores: Mapping[str, Any]) -> str:
    """The H-mean of val and its thresholds in words."""
    value, reading = scores["figures"]["val"]["h_mean"]["value"], scores["reading"]
    h_mean = "H-mean on val is undefined: no word of val counts" if value is None else f"H-mean on val {value:.4f}"
    how = f"pixels above {reading['binarise']:g}, words of at least {reading['box_score']:g}"
    return f"{h_mean} ({scores['protocol']}; {how})"


def write_icdar(folder: Path, paths: Mapping[str, str], images: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Write the detections of every image as ICDAR's evaluation takes them: ``x1,y1,…,xk,yk``, whole px, a word a line.

    The file of ``a/img_1.jpg`` is ``res_img_1.txt``; where another image has that name too, the id stands before it.
    paths: of the images by id.
    """
    files = icdar_names({image: paths[image] for image in images})
    for stale in set(folder.glob("res_*.txt")) - {folder / name for name in files.values()}:
        stale.unlink()
    for image, name in files.items():
        write_atomic(folder / name, icdar_text(word["polygon"] for word in images[image]["detections"]))
    return [folder / name for name in files.values()]


def icdar_names(paths: Mapping[str, str]) -> dict[str, str]:
    """File name by image id."""
    stems = {image: Path(path).stem for image, path in paths.items()}
    several = _repeated(stems.values())
    return {image: f"res_{image}_{stem}.txt" if stem in several else f"res_{stem}.txt" for image, stem in stems.items()}


def _repeated(names: Iterable[str]) -> set[str]:
    seen: set[str] = set()
    return {name for name in names if name in seen or seen.add(name)}  # type: ignore[func-returns-value]


def icdar_text(polygons: Iterable[Iterable[Sequence[float]]]) -> bytes:
    """``x1,y1,…,xk,yk`` in whole px, a word a line."""
    return "".join(map(_line, polygons)).encode()


def _line(polygon: Iterable[Sequence[float]]) -> str:
    return ",".join(str(round(value)) for corner in polygon for value in corner) + "\n"
