"""The page of one head: its figures by name, chosen by the head's task."""

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unchoke.cleaning.clean import of_images
from unchoke.experiments.parts import read_labels
from unchoke.metrics.classification import confusion_matrix, softmax
from unchoke.metrics.iou import mean_iou
from unchoke.metrics.parts import class_figures, group_figures, label_figures
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION
from unchoke.report.confusion import draw_confusion
from unchoke.report.curves import draw_curves
from unchoke.report.head_files import ImageFiles
from unchoke.report.mask_overlays import Overlay, draw_mask_overlays, ranked
from unchoke.report.mask_pictures import MaskFiles, PictureFiles, read_views
from unchoke.report.mistakes import MOST, Mistake, draw_mistakes
from unchoke.report.parts import draw_parts
from unchoke.report.reliability import Raw, draw_reliability
from unchoke.report.results import HeadResults, MaskResults
from unchoke.report.settings import draw_settings
from unchoke.report.targets.areas import draw_areas
from unchoke.report.targets.numbers import draw_predicted
from unchoke.report.targets.worst import worst_of
from unchoke.report.thumbnails import thumbnails
from unchoke.report.words.overlays import draw_text_overlays, text_overlays
from unchoke.report.words.thresholds import draw_thresholds
from unchoke.store.run_record import DETECTION, SEGMENTATION

THUMBNAIL_PX = 200


def draw_head(task: str, head: HeadResults | MaskResults, files: ImageFiles | PictureFiles) -> dict[str, Figure]:
    """The figures by name; head and files belong to the task."""
    return {name: draw(head, files) for name, draw in FIGURES[task].items()}


def _settings(head: HeadResults, files: ImageFiles) -> Figure:
    """Learning curves of a head that is trained in epochs; the scores of all settings for another."""
    return draw_curves(head.curves, *_tried(head)) if head.curves else draw_settings(*_tried(head))


def _tried(head: HeadResults | MaskResults) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]:
    """The history, the settings, the setting that was chosen, and the title."""
    return head.facts["history"], head.facts["settings"], head.facts["chosen"], head.title


def _parts(head: HeadResults, files: ImageFiles) -> Figure:
    """Classes and groups, as ``database_parts`` has them."""
    classes, predicted_RN = head.facts["classes"], head.logits_RNC.argmax(-1)
    group_N, unit_N = of_images(files.belongings, head.image_id_N)
    found = class_figures(head.label_N, predicted_RN, len(classes), unit_N)
    right_RN = predicted_RN == head.label_N
    by_class = dict(zip(classes, found, strict=True))
    return draw_parts(by_class, group_figures(right_RN, group_N), float(right_RN.mean()), head.title)


def _confusion(head: HeadResults, files: ImageFiles) -> Figure:
    classes = head.facts["classes"]
    count_CC = confusion_matrix(head.label_N, head.probability_NC.argmax(1), len(classes))
    return draw_confusion(count_CC, classes, head.title, head.averaged)


def _reliability(head: HeadResults, files: ImageFiles) -> Figure:
    test = head.facts["metrics"]["test"]
    raw = Raw(softmax(head.logits_RNC), head.facts["temperatures"], test["ece_raw"]["value"])
    return draw_reliability(head.label_N, head.probability_RNC, test["ece"], raw, head.title)


def _mistakes(head: HeadResults, files: ImageFiles) -> Figure:
    """The worst predictions with their pictures."""
    worst = worst_of(head, MOST)
    paths = files.manifest.set_index("image_id")["path"].loc[head.image_id_N[worst.rows].tolist()].tolist()
    pictures = thumbnails(files.kind, files.root, paths, THUMBNAIL_PX, files.max_pixels)
    tiles = [
        Mistake(picture, label, predicted, 0.0, path, note)
        for (label, predicted, note), path, picture in zip(worst.said, paths, pictures, strict=True)
    ]
    return draw_mistakes(tiles, worst.wrong, len(head.label_N), head.title, head.averaged, worst.order)


def _predicted(head: HeadResults, files: ImageFiles) -> Figure:
    figures = head.facts["metrics"]["test"]
    return draw_predicted(head.label_N[:, 0], head.number_N, figures, head.title, head.averaged)


def _label_parts(head: HeadResults, files: ImageFiles) -> Figure:
    """Labels at their thresholds, as ``experiments.parts`` has them."""
    _, unit_N = of_images(files.belongings, head.image_id_N)
    given_RNK = read_labels(head.logits_RNC, head.facts["thresholds"])
    found = label_figures(head.label_N.astype(bool), given_RNK, unit_N)
    return draw_parts(dict(zip(head.facts["classes"], found, strict=True)), {}, 0.0, head.title, "labels")


def _areas(head: HeadResults, files: ImageFiles) -> Figure:
    return draw_areas(head.label_N.astype(bool), head.logits_RNC, head.facts["classes"], head.title)


def _mask_curves(head: MaskResults, files: PictureFiles) -> Figure:
    return draw_curves(head.curves, *_tried(head), head.seconds, head.warnings)


def _mask_overlays(head: MaskResults, files: MaskFiles) -> Figure:
    counts = head.test_counts
    overlays = [
        Overlay(read_views(files, image_id), counts[image_id], rank, files.paths[image_id])
        for image_id, rank in ranked({image: float(mean_iou(count_CC)) for image, count_CC in counts.items()}).items()
    ]
    return draw_mask_overlays(overlays, head.facts["classes"], len(counts), head.title)


def _mask_confusion(head: MaskResults, files: PictureFiles) -> Figure:
    note, count_CC = f"Pixels of {len(head.test_counts):,} test images.", np.sum(list(head.test_counts.values()), 0)
    return draw_confusion(count_CC, head.facts["classes"], head.title, note, shares=True)


def _text_overlays(head: MaskResults, files: PictureFiles) -> Figure:
    return draw_text_overlays(list(text_overlays(head.scores, files)), len(head.test_counts), head.title)


def _text_thresholds(head: MaskResults, files: PictureFiles) -> Figure:
    return draw_thresholds(head.scores, head.title)


FIGURES: dict[str, dict[str, Callable[[Any, Any], Figure]]] = {
    CLASSIFICATION: {
        "settings": _settings,
        "parts": _parts,
        "confusion": _confusion,
        "reliability": _reliability,
        "mistakes": _mistakes,
    },
    REGRESSION: {
        "settings": _settings,
        "predicted": _predicted,
        "mistakes": _mistakes,
    },
    MULTILABEL: {
        "settings": _settings,
        "areas": _areas,
        "parts": _label_parts,
        "mistakes": _mistakes,
    },
    SEGMENTATION: {
        "mask_curves": _mask_curves,
        "mask_overlays": _mask_overlays,
        "mask_confusion": _mask_confusion,
    },
    DETECTION: {
        "mask_curves": _mask_curves,
        "text_overlays": _text_overlays,
        "text_thresholds": _text_thresholds,
    },
}
"""By task: the functions that draw its figures, by the name of the file."""
