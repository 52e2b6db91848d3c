"""Logits of a network for all images of a split, and how good they are."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch.func import functional_call

from unchoke.heads.rows import Rows, score
from unchoke.machine.halving import in_halves
from unchoke.networks.images import Images
from unchoke.networks.network import Network
from unchoke.networks.step import autocast
from unchoke.training.resume import Tensors


@torch.no_grad()
def logits_of(
    network: Network,
    images: Images,
    device: torch.device,
    settings: dict[str, Any],
    micro_batch: int,
    tensors: Tensors | None = None,
) -> torch.Tensor:
    """Logits, float32 (V·N, C) on the CPU: all images in a first view, then all in a second.

    settings: precision counts. micro_batch: images at once; halved where memory runs out. tensors: take the place of
    the trained part's own, by their names.
    """
    network.trained.eval()
    own = tensors if tensors is not None else {}

    def attempt(x: torch.Tensor, size: int) -> torch.Tensor:
        found = []
        for start in range(0, len(x), size):
            with autocast(device, settings["precision"]):
                seen = network.activations(network.inputs(x[start : start + size].to(device)))
                found.append(functional_call(network.trained, own, (seen,)).float().cpu())
        return torch.cat(found)

    logits = []
    for view in range(images.views):
        for start in range(0, len(images.image_id_N), micro_batch):
            place_B = np.arange(start, min(start + micro_batch, len(images.image_id_N)))
            x = torch.from_numpy(images.read(place_B, np.full(len(place_B), view)))
            logits.append(in_halves(partial(attempt, x), micro_batch)[0])
    return torch.cat(logits)


def score_of(logits: torch.Tensor, images: Images, figure: str) -> float:
    """How good logits (V·N, C) are by a figure, as ``heads.rows.score`` says: the higher, the better."""
    groups = np.full(len(images.label_N), "", object)
    rows = Rows(logits, torch.from_numpy(images.label_N), images.image_id_N, groups, images.views)
    return float(score(logits, rows, figure))
