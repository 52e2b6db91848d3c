"""The maps of all encoders, and the thumbnails that they share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.cells import cell_of
from unchoke.experiments.parts import read_labels
from unchoke.metrics import calibration
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION
from unchoke.page.files import PageFiles
from unchoke.page.maps import Points, draw_map
from unchoke.page.pictures import small_picture
from unchoke.report.embedding import coloured_by, project
from unchoke.report.mistakes import percent
from unchoke.report.results import HeadResults, read_head, read_sample
from unchoke.store.origin import read_origin, rounding_warnings
from unchoke.store.zarr_bytes import open_group

MOST = 600
"""Images on a map, each with a thumbnail that the page carries."""
SIDE_PX = 72
_LEGENDS = {CLASSIFICATION: "class", REGRESSION: "target", MULTILABEL: "labels"}  # what gives dots their colours


@dataclass(frozen=True)
class FeatureMap:
    """The map of one encoder."""

    encoder: str
    pool: str
    plot: dict[str, Any]
    images: int
    of: int
    """Images of val and test in all."""
    head: str
    """The head whose predictions it shows; empty where there is none."""
    warnings: list[str]


@dataclass(frozen=True)
class Features:
    """The maps, and the thumbnails by image_id."""

    maps: list[FeatureMap]
    thumbnails: dict[int, str]


def feature_maps(files: PageFiles) -> Features:
    """A map for each encoder with pooled features."""
    maps: list[FeatureMap] = []
    wanted: dict[int, str] = {}
    for encoder, (store, pool) in files.maps.items():
        points, of = _points(files, encoder, Path(store), pool)
        head = best_head(files, encoder)
        warnings = rounding_warnings(read_origin(Path(store)))
        maps.append(FeatureMap(encoder, pool, draw_map(points), len(points.label), of, head, warnings))
        wanted |= dict(zip(points.image_id, points.path, strict=True))
    return Features(maps, dict(thumbnail_urls(files, wanted, SIDE_PX)))


def thumbnail_urls(files: PageFiles, wanted: dict[int, str], side_px: int) -> Iterator[tuple[int, str]]:
    """By image_id the pictures of images, as data URLs; those that give none are left out. wanted: their paths."""
    for image_id, picture in zip(wanted, files.pictures(list(wanted.values()), side_px), strict=True):
        if not isinstance(picture, str):
            yield image_id, small_picture(picture).url


def _points(files: PageFiles, encoder: str, store: Path, pool: str) -> tuple[Points, int]:
    """The images of a map, and how many there are in all."""
    manifest = files.in_use
    x_ND, rows = read_sample(store, pool, manifest, MOST, seed=0)
    in_use = (manifest["excluded"] == "") & (manifest["split"] != "train")
    return points_of(files, encoder, x_ND, rows), int(in_use.sum())


def points_of(
    files: PageFiles,
    encoder: str,
    x_ND: NDArray[np.floating],
    rows: pd.DataFrame,
    found: Mapping[int, str] | None = None,
) -> Points:
    """Images on a map, with what the best head on the encoder says of them.

    x_ND: their features. rows: of the manifest. found: what rules found by image_id, in words; None: not shown.
    """
    place_N2, share_2 = project(x_ND)
    said, ids = predictions(files, encoder), rows["image_id"].tolist()
    label, split, path = (rows[name].tolist() for name in ("label", "split", "path"))
    prediction = [said.get(image_id, "") for image_id in ids]
    finding = [] if found is None else [found.get(image_id, "") for image_id in ids]
    colour, legend = coloured_by(label, files.ranking[0]), _LEGENDS[files.ranking[0]]
    return Points(place_N2, share_2, ids, label, split, path, prediction, finding, colour, legend)


def best_head(files: PageFiles, encoder: str) -> str:
    """The head on the encoder that is best on val."""
    return next((row["head"] for row in files.rows if row["encoder"] == encoder), "")


def predictions(files: PageFiles, encoder: str) -> dict[int, str]:
    """By image_id of val and test, what the best head on the encoder takes an image for."""
    row = next((row for row in files.rows if row["encoder"] == encoder), None)
    if row is None:
        return {}
    head, arrays = read_head(files.group(row)), open_group(files.group(row))
    classes, temperatures = head.facts["classes"], head.facts["temperatures"]
    found: dict[int, str] = {}
    for split in ("val", "test"):
        ids, label_N, logits_RNC = (np.asarray(arrays[f"{split}_{name}"]) for name in ("image_id", "label", "logits"))
        if head.task != CLASSIFICATION:
            found |= dict(zip(ids.tolist(), _answers(head, logits_RNC), strict=True))
            continue
        probability_NC = calibration.probabilities(logits_RNC, temperatures).mean(0)
        said = zip(probability_NC.argmax(1).tolist(), label_N.tolist(), probability_NC.max(1).tolist(), strict=True)
        words = [_told(classes[place], sure, right=place == label) for place, label, sure in said]
        found |= dict(zip(ids.tolist(), words, strict=True))
    return found


def _answers(head: HeadResults, logits_RNK: NDArray[np.floating]) -> list[str]:
    """What a head says that predicts numbers, or several labels."""
    if head.task == REGRESSION:
        return [f"predicted {number:.4g}" for number in logits_RNK[..., 0].mean(0).tolist()]
    given_NK = read_labels(logits_RNK, head.facts["thresholds"]).mean(0) >= 0.5
    return [f"given {cell_of(np.array(head.facts['classes'], object)[given_K])}" for given_K in given_NK]


def _told(predicted: str, sure: float, *, right: bool) -> str:
    return f"{'right' if right else 'wrong'}: taken for {predicted}, {percent(sure)} sure"
