"""Weighted k nearest neighbours as in DINO's evaluation (Caron et al. 2021, arXiv:2104.14294; Wu et al. 2018).

A neighbour of cosine similarity s votes for its class with weight exp(s / temperature). To the k votes comes one that
is divided among all C classes, so that a class without a neighbour is not held for impossible:

    probability = (k · share + 1 / C) / (k + 1)

That is the mean under Perks' prior (1947, Journal of the Institute of Actuaries 73). It moves no prediction, and lets a
temperature calibrate the votes. With next to nothing for such classes one wrong label alone decides the temperature.
"""

from pathlib import Path
from typing import Any

import torch

from unchoke.errors import SplitError
from unchoke.heads.rows import Rows, score
from unchoke.heads.target import Target
from unchoke.heads.targets import target_of
from unchoke.heads.train import Fitted
from unchoke.training.choose import best

_BLOCK = 1024  # queries compared at once


def fit(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, states: Path | None = None
) -> Fitted:
    """Keep the training features; of the k with the best val accuracy the smallest is kept."""
    ks = sorted(settings["k"])
    if ks[-1] > len(train.x_ND):
        raise SplitError(
            "There are fewer training images than neighbours.",
            found=f"{len(train.x_ND)} training images",
            expected=f"at least {ks[-1]}",
            do=f"take what is above {len(train.x_ND)} out of the head's list k",
        )
    tensors = {"features": train.x_ND, "labels": train.labels(), "n_classes": torch.tensor(n_classes)}
    cosine_NK, label_NK = _neighbours(tensors, val.x_ND, ks[-1], device)  # nearest first
    scores = []
    for k in ks:
        logits_NC = _votes(cosine_NK[:, :k], label_NK[:, :k], n_classes, settings["temperature"], train.target)
        scores.append(float(score(logits_NC, val, settings["choose_by"])))
    k = ks[best(scores, "knn")]
    return Fitted([{**tensors, "k": torch.tensor(k)}], {"k": k}, {"k": ks, "val_score": scores})


def predict(
    tensors: dict[str, torch.Tensor], settings: dict[str, Any], x_ND: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Logarithms of the probabilities, float32 (N, C); or means of numbers, or logits of the shares of labels."""
    cosine_NK, label_NK = _neighbours(tensors, x_ND, int(tensors["k"]), device)
    return _votes(cosine_NK, label_NK, int(tensors["n_classes"]), settings["temperature"], target_of(settings))


def _neighbours(
    tensors: dict[str, torch.Tensor], x_ND: torch.Tensor, k: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and y of the k nearest rows of train, nearest first: float32 (N, K), and (N, K) or (N, K, outputs)."""
    known_ND = torch.nn.functional.normalize(tensors["features"].to(device).float(), dim=1)
    label_N, nearest = tensors["labels"].to(device), []
    for start in range(0, len(x_ND), _BLOCK):
        block_BD = torch.nn.functional.normalize(x_ND[start : start + _BLOCK].float(), dim=1)
        nearest.append((block_BD @ known_ND.T).topk(k, dim=1))
    cosine_NK, place_NK = (torch.cat(parts) for parts in zip(*nearest, strict=True))
    return cosine_NK, label_N[place_NK]


def _votes(
    cosine_NK: torch.Tensor, label_NK: torch.Tensor, n_classes: int, temperature: float, target: Target
) -> torch.Tensor:
    k, weight_NK = cosine_NK.shape[1], torch.softmax(cosine_NK / temperature, 1)
    if label_NK.ndim > 2:
        return target.of_votes((weight_NK[:, None].double() @ label_NK.double())[:, 0], k)
    share_NC = torch.zeros(len(weight_NK), n_classes, device=weight_NK.device).scatter_add_(1, label_NK, weight_NK)
    return target.of_votes(share_NC, k)
