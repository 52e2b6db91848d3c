"""Probabilities of classes for each image, by a head that was fitted without the image, its group and its copies."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.heads.rows import Rows
from unchoke.heads.train import kind_of
from unchoke.metrics.calibration import fit_temperature, probabilities


def chosen_settings(
    train: Rows, val: Rows, n_classes: int, settings: Mapping[str, Any], device: torch.device
) -> dict[str, Any]:
    """Settings of the head with the one value (penalty, c) that is best on val after a fit on all of train."""
    fitted = kind_of(dict(settings)).fit(train, val, n_classes, dict(settings), device)
    return {**settings, **{name: [value] for name, value in fitted.chosen.items()}}


def out_of_fold(
    rows: Rows, fold_N: NDArray[np.int64], n_classes: int, settings: Mapping[str, Any], device: torch.device
) -> NDArray[np.float64]:
    """Calibrated probabilities float64 (N, C): of each fold's images by a head that was fitted on the other folds.

    fold_N: of every image; each class is in two folds or more. settings: of a head of kind ridge or logistic, with one
    value to try. One temperature is fitted on the logits of all folds, each of which its head did not see. Beside the
    rows, memory holds a copy of those of the other folds, and what the head takes.
    """
    logits_NC = np.empty((len(fold_N), n_classes), np.float64)
    alone = {**settings, "choose_by": "accuracy"}  # the quickest: there is nothing to choose among
    kind = kind_of(alone)
    for fold in range(int(fold_N.max()) + 1):
        held = _part(rows, fold_N == fold)
        fitted = kind.fit(_part(rows, fold_N != fold), held, n_classes, alone, device)
        logits = kind.predict(fitted.replicates[0], alone, held.x_ND, device)
        logits_NC[fold_N == fold] = logits.cpu().numpy()
    temperature = fit_temperature(rows.y_N.cpu().numpy(), logits_NC)[0]
    return np.asarray(probabilities(logits_NC[None], [temperature])[0])


def _part(rows: Rows, used_N: NDArray[np.bool_]) -> Rows:
    place = torch.from_numpy(np.flatnonzero(used_N)).to(rows.x_ND.device)
    return Rows(rows.x_ND[place], rows.y_N[place], rows.image_id_N[used_N], rows.group_N[used_N])
