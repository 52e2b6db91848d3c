"""All figures of one head."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from unchoke.cleaning.clean import of_images
from unchoke.metrics.classification import confusion_matrix, softmax
from unchoke.metrics.parts import class_figures, group_figures
from unchoke.report.confusion import draw_confusion
from unchoke.report.curves import draw_curves
from unchoke.report.mistakes import Mistake, draw_mistakes, worst_mistakes
from unchoke.report.parts import draw_parts
from unchoke.report.reliability import Raw, draw_reliability
from unchoke.report.results import HeadResults
from unchoke.report.settings import draw_settings
from unchoke.report.thumbnails import thumbnails

THUMBNAIL_PX = 200


def draw_head(
    head: HeadResults,
    manifest: pd.DataFrame,
    belongings: pd.DataFrame,
    root: Path,
    max_pixels: int,
    kind: str = "folder",
) -> dict[str, Figure]:
    """The figures by name.

    manifest: with the paths of the images below `root`. belongings: ``clean.read_belongings``. max_pixels: as for
    decoding. kind: of the images' source.
    """
    facts, probability_NC = head.facts, head.probability_NC
    tried = (facts["history"], facts["settings"], facts["chosen"], head.title)
    count_CC = confusion_matrix(head.label_N, probability_NC.argmax(1), len(facts["classes"]))
    mistakes, wrong = list(_mistakes(head, manifest, root, max_pixels, kind)), int(count_CC.sum() - np.trace(count_CC))
    raw = Raw(softmax(head.logits_RNC), facts["temperatures"], facts["metrics"]["test"]["ece_raw"]["value"])
    return {
        "settings": draw_curves(head.curves, *tried) if head.curves else draw_settings(*tried),
        "parts": _parts(head, belongings),
        "confusion": draw_confusion(count_CC, facts["classes"], head.title, head.averaged),
        "reliability": draw_reliability(
            head.label_N, head.probability_RNC, facts["metrics"]["test"]["ece"], raw, head.title
        ),
        "mistakes": draw_mistakes(mistakes, wrong, len(head.label_N), head.title, head.averaged),
    }


def _parts(head: HeadResults, belongings: pd.DataFrame) -> Figure:
    """Classes and groups, as ``database_parts`` has them."""
    classes, predicted_RN = head.facts["classes"], head.logits_RNC.argmax(-1)
    group_N, unit_N = of_images(belongings, head.image_id_N)
    found = class_figures(head.label_N, predicted_RN, len(classes), unit_N)
    right_RN = predicted_RN == head.label_N
    by_class = dict(zip(classes, found, strict=True))
    return draw_parts(by_class, group_figures(right_RN, group_N), float(right_RN.mean()), head.title)


def _mistakes(head: HeadResults, manifest: pd.DataFrame, root: Path, max_pixels: int, kind: str) -> Iterator[Mistake]:
    """The most confident mistakes with their pictures."""
    classes, probability_NC = head.facts["classes"], head.probability_NC
    rows = worst_mistakes(head.label_N, probability_NC)
    paths = manifest.set_index("image_id")["path"].loc[head.image_id_N[rows].tolist()].tolist()
    pictures = thumbnails(kind, root, paths, THUMBNAIL_PX, max_pixels)
    for row, path, picture in zip(rows, paths, pictures, strict=True):
        place, label = int(probability_NC[row].argmax()), classes[head.label_N[row]]
        yield Mistake(picture, label, classes[place], float(probability_NC[row, place]), path)
