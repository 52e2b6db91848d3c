"""Nearest class centroid of standardised features, by Euclidean distance or by cosine.

SimpleShot (arXiv:1911.04623) does so for few shots, on centred rows of length 1.
"""

from pathlib import Path
from typing import Any

import torch

from unchoke.heads.rows import Rows, moments, score
from unchoke.heads.train import Fitted
from unchoke.training.choose import best

DISTANCES = ("cosine", "euclidean")
_BLOCK = 4096  # rows at once


def fit(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, states: Path | None = None
) -> Fitted:
    """Mean of each class under every distance of the settings; of equals on val the first is kept."""
    mean_D, scale_D = moments(train.x_ND, settings["standardize"])
    candidates, scores = [], []
    for distance in settings["distance"]:
        tensors = {"mean": mean_D, "scale": scale_D, "distance": torch.tensor(DISTANCES.index(distance))}
        tensors["centroids"] = _centroids(_prepared(tensors, train.x_ND), train.labels(), n_classes)
        candidates.append(tensors)
        scores.append(float(score(predict(tensors, settings, val.x_ND, device), val, settings["choose_by"])))
    place = best(scores, "centroid")
    history = {"distance": list(settings["distance"]), "val_score": scores}
    return Fitted([candidates[place]], {"distance": settings["distance"][place]}, history)


def predict(
    tensors: dict[str, torch.Tensor], settings: dict[str, Any], x_ND: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Logits, float32 (N, C): cosine, or minus the mean squared difference, divided by the temperature."""
    part = {name: tensor.to(device) for name, tensor in tensors.items()}
    x_ND, centroids_CD = _prepared(part, x_ND), part["centroids"]
    if DISTANCES[int(part["distance"])] == "cosine":
        likeness_NC = x_ND @ torch.nn.functional.normalize(centroids_CD, dim=1).T
    else:
        likeness_NC = -(torch.cdist(x_ND, centroids_CD).square() / x_ND.shape[1])
    return torch.div(likeness_NC, settings["temperature"])


def _prepared(tensors: dict[str, torch.Tensor], x_ND: torch.Tensor) -> torch.Tensor:
    """Standardised rows, of length 1 for cosine."""
    x_ND = (x_ND.float() - tensors["mean"]) / tensors["scale"]
    return torch.nn.functional.normalize(x_ND, dim=1) if DISTANCES[int(tensors["distance"])] == "cosine" else x_ND


def _centroids(x_ND: torch.Tensor, y_N: torch.Tensor, n_classes: int) -> torch.Tensor:
    sums_CD = torch.zeros(n_classes, x_ND.shape[1], dtype=torch.float64, device=x_ND.device)
    for start in range(0, len(y_N), _BLOCK):
        rows = slice(start, start + _BLOCK)
        sums_CD.index_add_(0, y_N[rows], x_ND[rows].double())
    counts_C = torch.bincount(y_N, minlength=n_classes).clamp_min(1)
    return (sums_CD / counts_C[:, None]).float()
