"""Weighted k nearest neighbours as in DINO's evaluation (Caron et al. 2021, arXiv:2104.14294; Wu et al. 2018).

A neighbour of cosine similarity s votes for its class with weight exp(s / temperature).
"""

from pathlib import Path
from typing import Any

import torch

from unchoke.errors import UnchokeError
from unchoke.heads import Fitted
from unchoke.heads.rows import Rows, best, score

_BLOCK = 1024  # queries compared at once


def fit(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, drafts: Path | None = None
) -> Fitted:
    """Keep the training features; of the k with the best val accuracy the smallest is kept."""
    ks = sorted(settings["k"])
    if ks[-1] > len(train.x_ND):
        raise UnchokeError(
            "There are fewer training images than neighbours.",
            found=f"{len(train.x_ND)} training images",
            expected=f"at least {ks[-1]}",
            do=f"take what is above {len(train.x_ND)} out of the head's list k",
        )
    tensors = {"features": train.x_ND.half(), "labels": train.labels(), "n_classes": torch.tensor(n_classes)}
    scores = []
    for k in ks:
        logits_NC = predict({**tensors, "k": torch.tensor(k)}, settings, val.x_ND, device)
        scores.append(float(score(logits_NC, val, settings["choose_by"])))
    k = ks[best(scores, "knn")]
    return Fitted([{**tensors, "k": torch.tensor(k)}], {"k": k}, {"k": ks, "val_score": scores})


def predict(
    tensors: dict[str, torch.Tensor], settings: dict[str, Any], x_ND: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Logarithms of the shares of the vote, float32 (N, C); a class without a vote has log(1e-12)."""
    known_ND = torch.nn.functional.normalize(tensors["features"].to(device).float(), dim=1)
    label_N, n_classes = tensors["labels"].to(device), int(tensors["n_classes"])
    blocks = []
    for block_BD in torch.nn.functional.normalize(x_ND.float(), dim=1).split(_BLOCK):  # type: ignore[no-untyped-call]
        cosine_BK, place_BK = (block_BD @ known_ND.T).topk(int(tensors["k"]), dim=1)
        weight_BK = torch.softmax(cosine_BK / settings["temperature"], 1)
        vote_BC = torch.zeros(len(block_BD), n_classes, device=device)
        blocks.append(vote_BC.scatter_add_(1, label_N[place_BK], weight_BK))
    return torch.cat(blocks).clamp_min(1e-12).log()
