"""The rule ``mislabelled``: labels of which the features say otherwise, and how far to trust that."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.cleaning.findings import Found
from unchoke.heads.rows import Rows
from unchoke.inspection.confident import Doubts, doubts, wrong_share
from unchoke.inspection.folds import deal_folds, refuse_few, refuse_unseen
from unchoke.inspection.neighbours import nearest
from unchoke.inspection.out_of_fold import chosen_settings, out_of_fold

NEIGHBOURS = 5
"""Nearest images with the suggested label that a finding names."""


class Examined(NamedTuple):
    """The images whose labels are examined, and those on which the head's setting is chosen."""

    rows: Rows
    val: Rows
    classes: list[str]
    paths: list[str]
    """Of `rows`."""
    may_go_N: NDArray[np.bool_]
    """Whether the action `drop` drops them: those of test never go."""


def find_mislabelled(
    images: Examined, settings: Mapping[str, Any], head: Mapping[str, Any], device: torch.device
) -> tuple[Found, dict[str, Any]]:
    """The doubtful labels, and a summary of plain data.

    settings: of the rule. head: settings of the ridge or logistic head. Raises SplitError where there is one class, or
    a class with fewer images than folds.
    """
    rows, n_classes = images.rows, len(images.classes)
    y_N = rows.y_N.cpu().numpy()
    refuse_few(y_N, images.classes, settings["folds"])
    fold_N = deal_folds(y_N, rows.group_N, images.paths, settings["folds"], settings["seed"])
    refuse_unseen(y_N, fold_N, images.classes)
    chosen = chosen_settings(rows, images.val, n_classes, head, device)
    p_NC = out_of_fold(rows, fold_N, n_classes, chosen, device)
    said = doubts(p_NC, y_N)
    place_F = np.sort(said.above(settings["margin_above"]))
    summary: dict[str, Any] = {
        "images": len(y_N),
        "wrong_share": wrong_share(p_NC, y_N),
        "accuracy": float((p_NC.argmax(1) == y_N).mean()),
    }
    if settings["flipped"]:
        flipped_y_N = flip_labels(y_N, settings["flipped"], n_classes, settings["seed"])
        again = replace(rows, y_N=torch.from_numpy(flipped_y_N).to(rows.y_N.device))
        then = doubts(out_of_fold(again, fold_N, n_classes, chosen, device), flipped_y_N)
        found = then.above(settings["margin_above"])
        summary["estimate"] = flips_found(found, place_F, y_N, flipped_y_N, then.suggested_N)
    return _findings(images, said, place_F, device), summary


def flip_labels(y_N: NDArray[np.int64], share: float, n_classes: int, seed: int) -> NDArray[np.int64]:
    """The labels, where ``round(share * N)`` of them, at least one, are another class, drawn evenly; int64 (N,)."""
    rng = np.random.default_rng(seed)
    place_F = rng.choice(len(y_N), max(1, round(share * len(y_N))), replace=False)
    flipped_N = y_N.copy()
    flipped_N[place_F] = (y_N[place_F] + rng.integers(1, n_classes, len(place_F))) % n_classes
    return flipped_N


def flips_found(
    found: NDArray[np.int64],
    known: NDArray[np.int64],
    y_N: NDArray[np.int64],
    flipped_y_N: NDArray[np.int64],
    suggested_N: NDArray[np.int64],
) -> dict[str, float]:
    """Precision and recall of the rule on labels of which some were flipped: flipped, found, precision, recall, named.

    found: places of its findings among the flipped labels. known: those among the given labels; whether these are
    mistakes of the rule is not known, so that they count in neither unless they were flipped. named: share of the
    flipped labels found for which the suggestion is the label before. Precision is that at this share of wrong labels:
    with fewer it is lower.
    """
    flipped_N = flipped_y_N != y_N
    counted = found[flipped_N[found] | ~np.isin(found, known)]
    right = counted[flipped_N[counted]]
    total = int(flipped_N.sum())
    return {
        "flipped": total,
        "found": len(counted),
        "precision": len(right) / len(counted) if len(counted) else 0.0,
        "recall": len(right) / total,
        "named": float((suggested_N[right] == y_N[right]).mean()) if len(right) else 0.0,
    }


def _findings(images: Examined, said: Doubts, place_F: NDArray[np.int64], device: torch.device) -> Found:
    """The findings with the nearest images that bear the suggested label."""
    rows, suggested_F = images.rows, said.suggested_N[place_F]
    asked, y_N = torch.from_numpy(suggested_F), rows.y_N.cpu()
    stored = rows.x_ND.cpu().numpy()
    _, near_Fk = nearest(
        stored[place_F], stored, NEIGHBOURS, device, lambda query, known: asked[query, None] == y_N[None, known]
    )
    none_F = np.full(len(place_F), -1, np.int64)
    return Found(
        rows.image_id_N[place_F],
        images.may_go_N[place_F],
        none_F,
        said.margin_N[place_F],
        none_F,
        np.array([images.classes[place] for place in suggested_F], object),
        np.array([_ids(rows.image_id_N, near_k) for near_k in near_Fk], object),
    )


def _ids(image_id_N: NDArray[np.int64], near_k: Sequence[int]) -> str:
    return " ".join(str(image_id_N[place]) for place in near_k if place >= 0)
