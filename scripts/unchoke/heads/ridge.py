"""Ridge regression on indicators of the classes, in closed form for every penalty at once (Hoerl and Kennard 1970).

    minimise  sum_n w_n ||W x_n + b - e(y_n)||² + penalty ||W||²

The features are read once, a block of rows at a time, into the Gram matrix of features and indicators. Its eigenvectors
then give the solution of any penalty for one product. The intercept b is not penalised.
"""

from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from unchoke.heads import Fitted
from unchoke.heads.products import single_products
from unchoke.heads.rows import Rows, best, class_weights, moments, score

_BLOCK = 4096  # rows at once
_LEAST = 1e-3  # probability


def fit(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, drafts: Path | None = None
) -> Fitted:
    """Solve for every penalty of the settings; of those with the best score on val the largest is kept."""
    with single_products() as threads, ThreadPoolExecutor(threads) as pool:
        return _fit_penalties(train, val, n_classes, settings, device, pool)


def _fit_penalties(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, pool: Executor
) -> Fitted:
    mean_D, scale_D = moments(train.x_ND, settings["standardize"])
    weights = settings["class_weights"]
    gram_DD, product_DC, centre_D, share_C = _sums(train, n_classes, weights, mean_D, scale_D, pool)
    values_D, vectors_DD = torch.linalg.eigh(gram_DD)
    rotated_DC = vectors_DD.T @ product_DC
    penalties = sorted(settings["penalty"], reverse=True)
    candidates, scores = [], []
    for penalty in penalties:
        weight_DC = vectors_DD @ (rotated_DC / (values_D.clamp_min(0) + penalty)[:, None])
        bias_C = share_C - centre_D @ weight_DC
        tensors = {"mean": mean_D, "scale": scale_D, "weight": weight_DC.T.float().contiguous(), "bias": bias_C.float()}
        candidates.append(tensors)
        scores.append(float(score(predict(tensors, settings, val.x_ND, device), val, settings["choose_by"])))
    place = best(scores, "ridge")
    return Fitted([candidates[place]], {"penalty": penalties[place]}, {"penalty": penalties, "val_score": scores})


def predict(
    tensors: dict[str, torch.Tensor], settings: dict[str, Any], x_ND: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Logarithms of the fitted indicators, which estimate the classes' probabilities, float32 (N, C).

    What is below 0.001 counts as 0.001; among such the larger indicator still comes first.
    """
    part = {name: tensor.to(device) for name, tensor in tensors.items()}
    indicator_NC = ((x_ND.float() - part["mean"]) / part["scale"]) @ part["weight"].T + part["bias"]
    return indicator_NC.clamp_min(_LEAST).log() + _LEAST * indicator_NC


def _sums(
    train: Rows, n_classes: int, weights: str, mean_D: torch.Tensor, scale_D: torch.Tensor, pool: Executor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of centred features and indicators: Gram matrix (D, D), product (D, C), and both centres (D,), (C,); float64.

    Blocks are multiplied in float32, about the mean lest it drowns what differs, and added up in float64.
    """
    y_N, width = train.labels(), train.x_ND.shape[1]
    weight_N = class_weights(y_N, n_classes, weights)[y_N]
    shift_D = moments(train.x_ND, True)[0]

    def block_sums(start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Gram matrix of a block's features with a column of ones, and their product with the indicators."""
        rows = slice(start, start + _BLOCK)
        x_BD = (train.x_ND[rows].float() - shift_D) / scale_D
        x_BE = torch.cat([x_BD, torch.ones_like(x_BD[:, :1])], 1)
        indicator_BC = torch.nn.functional.one_hot(y_N[rows], n_classes).float()
        heavy_EB = (x_BE * weight_N[rows, None]).T
        return heavy_EB @ x_BE, heavy_EB @ indicator_BC

    gram_EE = torch.zeros(width + 1, width + 1, dtype=torch.float64, device=y_N.device)
    product_EC = torch.zeros(width + 1, n_classes, dtype=torch.float64, device=y_N.device)
    for gram, product in pool.map(block_sums, range(0, len(y_N), _BLOCK)):
        gram_EE += gram
        product_EC += product
    total, centre_D, share_C = gram_EE[-1, -1], gram_EE[-1, :-1] / gram_EE[-1, -1], product_EC[-1] / gram_EE[-1, -1]
    gram_DD = gram_EE[:-1, :-1] - total * torch.outer(centre_D, centre_D)
    product_DC = product_EC[:-1] - total * torch.outer(centre_D, share_C)
    return gram_DD, product_DC, centre_D + (shift_D - mean_D) / scale_D, share_C
