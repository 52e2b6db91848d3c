"""Ridge regression on numbers, or on indicators of classes or labels; Hoerl and Kennard 1970.

In closed form, for every penalty at once:

    minimise  sum_n w_n ||W x_n + b - e(y_n)||² + penalty ||W||²

The intercept b is not penalised: features and indicators are centred about their weighted means. The Gram matrix is
never formed, since it squares the condition number. Rows are reduced to the triangle of their QR decomposition
instead, a block at a time (Demmel et al. 2012, "Communication-optimal parallel and sequential QR
and LU factorizations"). Its singular values give the solution of any penalty for one product. All in float64.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unchoke.heads.products import single_products
from unchoke.heads.rows import Rows, class_weights, moments, row_weights, score
from unchoke.heads.targets import target_of
from unchoke.heads.train import Fitted
from unchoke.training.choose import best

_BLOCK = 4096  # rows at once
_RUNS = 8  # of blocks, reduced at once


def fit(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, states: Path | None = None
) -> Fitted:
    """Solve for every penalty of the settings; keep the largest of equally good ones on val."""
    with single_products() as threads, ThreadPoolExecutor(threads) as pool:
        return _fit_penalties(train, val, n_classes, settings, device, pool)


def _fit_penalties(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, pool: Executor
) -> Fitted:
    mean_D, scale_D = moments(train.x_ND, settings["standardize"])
    table = _Table(train, n_classes, settings["class_weights"], mean_D, scale_D)
    centre_D, share_C = table.centres(pool)
    triangle = table.triangle(centre_D, share_C, pool)
    left_KK, values_K, right_KD = torch.linalg.svd(triangle[:, :-n_classes], full_matrices=False)
    rotated_KC = left_KK.T @ triangle[:, -n_classes:]
    penalties = sorted(settings["penalty"], reverse=True)
    candidates, scores = [], []
    for penalty in penalties:
        weight_DC = right_KD.T @ ((values_K / (values_K.square() + penalty))[:, None] * rotated_KC)
        bias_C = share_C - centre_D @ weight_DC
        candidates.append({"mean": mean_D, "scale": scale_D, "weight": weight_DC.T.contiguous(), "bias": bias_C})
        scores.append(float(score(predict(candidates[-1], settings, val.x_ND, device), val, settings["choose_by"])))
    place = best(scores, "ridge")
    return Fitted([candidates[place]], {"penalty": penalties[place]}, {"penalty": penalties, "val_score": scores})


def predict(
    tensors: dict[str, torch.Tensor], settings: dict[str, Any], x_ND: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Outputs from the fitted indicators, which estimate the classes' probabilities, (N, C); see ``heads.targets``."""
    return target_of(settings).of_indicators(indicators(tensors, x_ND, device))


def indicators(tensors: dict[str, torch.Tensor], x_ND: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The fitted indicators, float64 (N, C); small penalties give large weights, whose sum float32 would round."""
    if device.type == "mps":
        device = torch.device("cpu")  # mps has no float64
    part = {name: tensor.to(device).double() for name, tensor in tensors.items()}
    blocks_BC = []
    for start in range(0, len(x_ND), _BLOCK):
        x_BD = (x_ND[start : start + _BLOCK].to(device).double() - part["mean"]) / part["scale"]
        blocks_BC.append(x_BD @ part["weight"].T + part["bias"])
    return torch.cat(blocks_BC)


class _Table:
    """The training rows a block at a time: features and, as further columns, indicators; float64."""

    def __init__(self, train: Rows, n_classes: int, weights: str, mean_D: torch.Tensor, scale_D: torch.Tensor) -> None:
        self.x_ND, self.y_N, self.n_classes = train.x_ND, train.labels(), n_classes
        self.mean_D, self.scale_D = mean_D.double(), scale_D.double()
        self.target = train.target
        self.weight_N = row_weights(self.y_N, class_weights(self.y_N, n_classes, weights).double())
        self.starts = range(0, len(self.y_N), _BLOCK)

    def centres(self, pool: Executor) -> tuple[torch.Tensor, torch.Tensor]:
        """Weighted means of features (D,) and of indicators (C,)."""
        total_E = sum(pool.map(self._weighted_sum, self.starts), torch.zeros((), device=self.y_N.device))
        mean_E = total_E / self.weight_N.sum()
        return mean_E[: -self.n_classes], mean_E[-self.n_classes :]

    def triangle(self, centre_D: torch.Tensor, share_C: torch.Tensor, pool: Executor) -> torch.Tensor:
        """R of the QR decomposition of all centred and weighted rows, (min(N, D + C), D + C).

        Which rows make a run does not depend on the number of threads, so that the bits do not either.
        """
        runs = np.array_split(np.array(self.starts), min(_RUNS, len(self.starts)))
        reduce_run = partial(self._reduced_run, torch.cat([centre_D, share_C]))
        return _triangle(torch.cat(list(pool.map(reduce_run, (run.tolist() for run in runs)))))

    def _block(self, start: int) -> torch.Tensor:
        rows = slice(start, start + _BLOCK)
        x_BD = (self.x_ND[rows].double() - self.mean_D) / self.scale_D
        return torch.cat([x_BD, self.target.indicators(self.y_N[rows], self.n_classes)], 1)

    def _weighted_sum(self, start: int) -> torch.Tensor:
        return self.weight_N[start : start + _BLOCK] @ self._block(start)

    def _reduced_run(self, centre_E: torch.Tensor, starts: Sequence[int]) -> torch.Tensor:
        """The triangle of the blocks of a run, one after the other."""
        triangle_RE = torch.empty((0, len(centre_E)), dtype=torch.float64, device=centre_E.device)
        for start in starts:
            root_B1 = self.weight_N[start : start + _BLOCK, None].sqrt()
            triangle_RE = _triangle(torch.cat([triangle_RE, (self._block(start) - centre_E) * root_B1]))
        return triangle_RE


def _triangle(rows_NE: torch.Tensor) -> torch.Tensor:
    """A matrix (min(N, E), E) whose columns have the same inner products as the columns of the rows."""
    triangle: torch.Tensor = torch.linalg.qr(rows_NE, mode="r")[1]
    return triangle
