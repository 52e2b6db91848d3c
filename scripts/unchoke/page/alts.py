"""What a figure shows, in words, for readers who do not see it."""

import json
from typing import Any

import numpy as np

from unchoke.metrics.classification import SPOKEN, confusion_matrix
from unchoke.metrics.grids import choice_text
from unchoke.names import CLASSIFICATION, REGRESSION
from unchoke.page.text import figure
from unchoke.page.verdict import Row
from unchoke.report.confusion import frequent_pairs
from unchoke.report.results import HeadResults
from unchoke.report.targets.worst import worst_of

_PAIRS = 5


def alts_of(row: Row, head: HeadResults | None) -> dict[str, str]:
    """By name of a figure what it says of a head; head: None where it predicts masks."""
    chosen = choice_text(json.loads(row["chosen"]), json.loads(row["edges"])).replace("_", " ")
    found = dict.fromkeys(("settings", "mask_curves"), f"chosen: {chosen}")
    found["mask_overlays"] = f"mean over images {figure(row['test_over_images'], 3)}"
    found["text_overlays"] = f"H-mean {figure(row['test_h_mean'], 3)} on test"
    if head is None:
        return found
    if head.task != CLASSIFICATION:
        worst = worst_of(head, 1)
        found["mistakes"] = f"{worst.wrong:,} of {len(head.label_N):,} images are wrong"
        return found | _of_task(head)
    classes, predicted_N = head.facts["classes"], head.probability_NC.argmax(1)
    count_CC = confusion_matrix(head.label_N, predicted_N, len(classes))
    wrong = int((predicted_N != head.label_N).sum())
    return found | {
        "parts": _least_recalled(count_CC, classes),
        "confusion": _pairs(count_CC, classes),
        "reliability": _calibration(head.facts["metrics"]["test"]),
        "mistakes": f"{wrong:,} of {len(predicted_N):,} images are wrong",
    }


def _of_task(head: HeadResults) -> dict[str, str]:
    test = head.facts["metrics"]["test"]
    if head.task == REGRESSION:
        return {"predicted": ", ".join(f"{SPOKEN[name]} {figure(test[name]['value'], 3)}" for name in test)}
    known = [f"{SPOKEN[name]} {figure(test[name]['value'], 3)}" for name in ("average_precision", "auroc", "macro_f1")]
    return {"areas": ", ".join(known[:2]), "parts": known[2]}


def _pairs(count_CC: Any, classes: list[str]) -> str:
    pairs = frequent_pairs(count_CC, _PAIRS)
    said = [f"{classes[true]} taken for {classes[predicted]} {_times(count)}" for true, predicted, count in pairs]
    return "most often " + ", ".join(said) if said else "nothing is confused"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _least_recalled(count_CC: Any, classes: list[str]) -> str:
    """The class of which the smallest share is right."""
    images_C = count_CC.sum(1)
    known = np.flatnonzero(images_C)
    if not len(known):
        return ""
    recall_K = np.diag(count_CC)[known] / images_C[known]
    worst = int(recall_K.argmin())
    return f"the lowest recall is {recall_K[worst]:.2f}, of {classes[known[worst]]}"


def _calibration(test: dict[str, Any]) -> str:
    after, before = (test.get(name, {}).get("value") for name in ("ece", "ece_raw"))
    return f"expected calibration error {figure(after, 3)}, before calibration {figure(before, 3)}"
