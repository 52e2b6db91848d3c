"""Figures of heads that predict numbers or several labels, on ordinary and on odd data."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn.metrics import average_precision_score, roc_auc_score

from unchoke.metrics import label_sets, numbers
from unchoke.metrics.evaluation import plain_figures
from unchoke.report.embedding import coloured_by
from unchoke.report.head import draw_head
from unchoke.report.head_files import ImageFiles
from unchoke.report.results import HeadResults
from unchoke.report.style import png_bytes
from unchoke.report.targets.areas import draw_areas, label_areas
from unchoke.report.targets.worst import worst_of

ODD_NAMES = ["größe-图", "a$b_{c}$", "not \udcff utf-8", "two\nlines", "x" * 300, "c", "مرحبا"]
RNG = np.random.default_rng(0)
HISTORY = {"penalty": [1.0, 10.0], "val_score": [0.5, 0.6]}
SETTINGS = {"kind": "ridge", "penalty": [1.0, 10.0]}


def texts(figure: Figure) -> str:
    """All words on a figure."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # which png_bytes ignores too
        figure.draw_without_rendering()
    return " | ".join(text.get_text() for text in figure.findobj(Text))


def head_of(task: str, label_N: np.ndarray, outputs_RNK: np.ndarray, **facts: Any) -> HeadResults:
    facts = {"task": task, "history": HISTORY, "chosen": {"penalty": 10.0}, "temperatures": [1.0], **facts}
    choose_by = "mae" if task == "regression" else "average_precision"
    facts["settings"] = {**SETTINGS, "choose_by": choose_by}
    return HeadResults("tiny · ridge", facts, label_N, outputs_RNK, np.arange(len(label_N)), {})


def files_of(count: int, folder: Path) -> ImageFiles:
    manifest = pd.DataFrame({"image_id": range(count), "path": [f"{row}.png" for row in range(count)]})
    belongings = pd.DataFrame({"group": [""] * count, "unit": [""] * count}, index=range(count))
    return ImageFiles(manifest, belongings, folder, 10**6, "folder")


def of_numbers(true_N: np.ndarray, predicted_RN: np.ndarray) -> HeadResults:
    figures = plain_figures(numbers.evaluate(true_N, predicted_RN[..., None]))
    return head_of("regression", true_N[:, None], predicted_RN[..., None], metrics={"test": figures})


def of_labels(true_NK: np.ndarray, logits_RNK: np.ndarray, classes: list[str]) -> HeadResults:
    cut = [[0.0] * len(classes)] * len(logits_RNK)
    figures = plain_figures(label_sets.evaluate(true_NK, logits_RNK, None, cut))
    facts = {"classes": classes, "thresholds": cut, "metrics": {"test": figures}}
    return head_of("multilabel", true_NK.astype(np.uint8), logits_RNK, **facts)


@pytest.mark.parametrize("scale", [1e-7, 1e9])
def test_numbers_have_their_figures_and_the_largest_error_first(scale: float, tmp_path: Path) -> None:
    true_N = np.arange(30.0) * scale
    predicted_RN = true_N + scale * RNG.normal(0, 1, (2, 30))
    predicted_RN[:, 7] += 50 * scale
    head = of_numbers(true_N, predicted_RN)
    figures = draw_head("regression", head, files_of(30, tmp_path))
    assert list(figures) == ["settings", "predicted", "mistakes"]
    for figure in figures.values():
        assert png_bytes(figure).startswith(b"\x89PNG")
    assert "MAE" in texts(figures["predicted"]) and "30 images" in texts(figures["predicted"])
    assert worst_of(head, 5).rows[0] == 7


def test_a_constant_target_is_drawn_and_said(tmp_path: Path) -> None:
    head = of_numbers(np.full(5, 3.0), np.full((1, 5), 3.0))
    figures = draw_head("regression", head, files_of(5, tmp_path))
    assert "R² undefined" in texts(figures["predicted"])
    assert "all 5 test images are right" in texts(figures["mistakes"])


def test_labels_are_drawn_whatever_their_names_and_whichever_images_have_them(tmp_path: Path) -> None:
    true_NK = RNG.random((40, len(ODD_NAMES))) < 0.3
    true_NK[:, 0], true_NK[:, 1] = False, True
    logits_RNK = (true_NK * 2 + RNG.normal(0, 1, (2, *true_NK.shape))).astype(np.float32)
    head = of_labels(true_NK, logits_RNK, ODD_NAMES)
    figures = draw_head("multilabel", head, files_of(40, tmp_path))
    assert list(figures) == ["settings", "areas", "parts", "mistakes"]
    for figure in figures.values():
        assert png_bytes(figure).startswith(b"\x89PNG")
    assert "1 of 7 labels are left out" in texts(figures["areas"])


def test_areas_are_scikit_learns_and_of_many_labels_the_worst_are_named() -> None:
    true_NK = RNG.random((60, 40)) < 0.4
    logits_1NK = (true_NK + RNG.normal(0, 1, (1, *true_NK.shape))).astype(np.float32)
    found = label_areas(true_NK, logits_1NK)
    np.testing.assert_allclose(found["AUROC"], roc_auc_score(true_NK, logits_1NK[0], average=None))
    expected_K = average_precision_score(true_NK, logits_1NK[0], average=None)
    np.testing.assert_allclose(found["average precision"], expected_K)
    said = texts(draw_areas(true_NK, logits_1NK, [f"label{k}" for k in range(40)], "t"))
    assert f"label{expected_K.argmin()} " in said and f"label{expected_K.argmax()} " not in said


def test_the_worst_labels_are_the_least_likely_by_the_head() -> None:
    true_NK = np.array([[1, 0], [1, 0], [0, 1], [0, 0]])
    logits = np.array([[[2.0, -2.0], [-1.0, -1.0], [-3.0, -3.0], [-1.0, -1.0]]], np.float32)
    worst = worst_of(of_labels(true_NK, logits, ["red", "wet"]), 9)
    assert worst.rows.tolist() == [2, 1] and worst.wrong == 2
    assert worst.said == [("wet", "none", ""), ("red", "none", "")]


def test_a_map_says_in_words_that_an_image_has_none_of_the_labels() -> None:
    assert coloured_by([";", "red;wet", "wet"], "multilabel") == ["none", "red;wet", "wet"]


def test_a_map_has_a_colour_for_each_fifth_of_the_numbers() -> None:
    found = coloured_by([str(row) for row in range(100)], "regression")
    assert sorted(set(found))[0] == "1: 0 to 19.8"
    assert {found.count(name) for name in set(found)} == {20}
    assert coloured_by(["3"] * 4, "regression") == ["5: 3 to 3"] * 4
