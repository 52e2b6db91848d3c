"""Multinomial logistic regression, as scikit-learn's LogisticRegression states it, along a path of C.

    minimise  sum_n w_n CE(W x_n + b, y_n) / sum_n w_n  +  ||W||² / (2 C N)

by L-BFGS from the solution of the C before, smallest first; the intercept b is not penalised.

The minimum is reached where no entry of the gradient is larger than `tolerance` × the loss. A gradient of 1e-4 says
little where the loss is 4e-4: the head would depend on where the path began. Products in float32 can become too coarse
for that; the rest of the way is then gone in float64.
"""

from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import astuple, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from unchoke.heads import Fitted
from unchoke.heads.products import single_products
from unchoke.heads.rows import Rows, best, class_weights, moments, score

_BLOCK = 1024  # rows


def fit(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, drafts: Path | None = None
) -> Fitted:
    """Fit every C of the settings; of those with the best score on val the smallest is kept."""
    with single_products() as threads, ThreadPoolExecutor(threads) as pool:
        return _fit_path(train, val, n_classes, settings, device, pool)


def _fit_path(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, pool: Executor
) -> Fitted:
    names = ("c", "iterations", "gradient", "loss", "reached", "val_score")
    history: dict[str, list[Any]] = {name: [] for name in names}
    candidates = []
    problem = _Problem(train, n_classes, settings, pool)
    x_val_ND = (val.x_ND.float() - problem.mean_D) / problem.scale_D
    for c in sorted(settings["c"]):
        end = problem.solve(c)
        candidates.append(problem.tensors())
        logits_NC = x_val_ND @ candidates[-1]["weight"].T + candidates[-1]["bias"]
        value = float(score(logits_NC, val, settings["choose_by"]))
        for name, entry in zip(names, (c, *astuple(end), value), strict=True):
            history[name].append(entry)
    place = best(history["val_score"], "logistic")
    found, c = candidates[place], history["c"][place]
    warnings = [
        _not_reached(c, settings) for c, reached in zip(history["c"], history["reached"], strict=True) if not reached
    ]
    if not settings["refit"]:
        return Fitted([found], {"c": c}, history, warnings=warnings)
    del problem  # its copy of the features
    problem = _Problem(_joined(train, val), n_classes, settings, pool, found)
    if not problem.solve(c).reached:
        warnings.append(f"{_not_reached(c, settings)}, fitted anew on train and val")
    return Fitted([problem.tensors()], {"c": c}, history, before_refit=[found], warnings=warnings)


def _not_reached(c: float, settings: dict[str, Any]) -> str:
    return f"the optimum was not reached within max_iterations {settings['max_iterations']}: C {c:g}"


def predict(
    tensors: dict[str, torch.Tensor], settings: dict[str, Any], x_ND: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Logits, float32 (N, C)."""
    part = {name: tensor.to(device) for name, tensor in tensors.items()}
    return ((x_ND.float() - part["mean"]) / part["scale"]) @ part["weight"].T + part["bias"]


def _joined(train: Rows, val: Rows) -> Rows:
    """All rows of both, as a train split of one view."""
    return replace(
        train, x_ND=torch.cat([train.x_ND, val.x_ND]), y_N=torch.cat([train.labels(), val.labels()]), views=1
    )


@dataclass(frozen=True)
class _End:
    """Where a minimisation stopped."""

    iterations: int
    gradient: float
    """Its largest entry."""
    loss: float
    reached: bool
    """Whether this is the minimum, to the tolerance or as near as float64 comes; else the iterations ran out."""


class _Problem:
    """The loss on some rows, and where its minimisation stands."""

    def __init__(
        self,
        train: Rows,
        n_classes: int,
        settings: dict[str, Any],
        pool: Executor,
        start: dict[str, torch.Tensor] | None = None,
    ) -> None:
        """start: what a checkpoint holds, to begin from; None: zeros."""
        self.settings, self.n_classes, self.pool = settings, n_classes, pool
        dtype = self.dtype = getattr(torch, settings["precision"])
        self.mean_D, self.scale_D = moments(train.x_ND, settings["standardize"])
        rows, width = train.x_ND.shape
        self.x_ND = torch.ones(
            (rows, width + 1), dtype=dtype, device=train.x_ND.device
        )  # the last one's: the intercept
        for first in range(0, rows, _BLOCK):
            part = slice(first, first + _BLOCK)
            self.x_ND[part, :-1] = (train.x_ND[part].float() - self.mean_D) / self.scale_D
        self.y_N = train.labels()
        weight_N = class_weights(self.y_N, n_classes, settings["class_weights"])[self.y_N].double()
        self.share_N = weight_N / weight_N.sum()
        self.theta = np.zeros(n_classes * self.x_ND.shape[1])
        if start:
            self.theta = torch.cat([start["weight"], start["bias"][:, None]], 1).double().cpu().numpy().ravel()

    def solve(self, c: float) -> _End:
        """Go to the minimum for `c` from where we are."""
        penalty, left = 1 / (c * len(self.x_ND)), self.settings["max_iterations"]
        for dtype in dict.fromkeys((self.x_ND.dtype, torch.float64)):
            self.dtype = dtype
            result = self._descend(penalty, left)
            left -= int(result.nit)
            gradient, loss = float(np.abs(result.jac).max()), float(result.fun)
            reached = gradient <= self.settings["tolerance"] * loss
            if reached or left <= 0:
                break
        return _End(self.settings["max_iterations"] - left, gradient, loss, reached or left > 0)

    def _descend(self, penalty: float, most: int) -> OptimizeResult:
        """L-BFGS until the tolerance, or until rounding of the products ends the line search."""

        def stop_at_minimum(intermediate_result: OptimizeResult) -> None:
            if self.gradient <= self.settings["tolerance"] * intermediate_result.fun:
                raise StopIteration

        result = minimize(
            self._loss_and_gradient,
            self.theta,
            args=(penalty,),
            jac=True,
            method="L-BFGS-B",
            callback=stop_at_minimum,
            options={"maxiter": most, "maxfun": 20 * most, "gtol": 0, "ftol": 0},
        )
        self.theta = result.x
        return result

    def tensors(self) -> dict[str, torch.Tensor]:
        """What the checkpoint holds."""
        solution_CD = torch.from_numpy(self.theta).float().to(self.x_ND.device).view(self.n_classes, -1)
        weight_CD, bias_C = solution_CD[:, :-1].clone(), solution_CD[:, -1].clone()
        return {"mean": self.mean_D, "scale": self.scale_D, "weight": weight_CD, "bias": bias_C}

    def _loss_and_gradient(self, theta: NDArray[np.float64], penalty: float) -> tuple[float, NDArray[np.float64]]:
        """Products as the settings say, sums in float64, or the line search would end in their noise.

        Rows go in blocks that stay in the processor's cache between the two products: memory is read once, not twice.
        Classes come first: with 10 of them on 1,280 features torch multiplies three times as fast as with classes last.
        """
        weight_CD = torch.from_numpy(theta).to(self.x_ND.device, self.dtype).view(self.n_classes, -1)
        loss = 0.5 * penalty * weight_CD[:, :-1].double().square().sum()
        gradient_CD = penalty * weight_CD.double()
        gradient_CD[:, -1] = 0
        starts = range(0, len(self.x_ND), _BLOCK)
        for part, part_CD in self.pool.map(partial(self._block, weight_CD), starts):
            loss += part
            gradient_CD += part_CD
        self.gradient = float(gradient_CD.abs().max())
        return float(loss), gradient_CD.cpu().numpy().ravel()

    def _block(self, weight_CD: torch.Tensor, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What a block of rows adds to loss and gradient, less the penalty."""
        rows = slice(start, start + _BLOCK)
        x_BD, share_B, y_1B = self.x_ND[rows].to(self.dtype), self.share_N[rows], self.y_N[None, rows]
        logits_CB = (weight_CD @ x_BD.T).double()
        log_sum_B = logits_CB.logsumexp(0)
        loss = ((log_sum_B - logits_CB.gather(0, y_1B)[0]) * share_B).sum()
        error_CB = (logits_CB - log_sum_B).exp_().mul_(share_B)
        error_CB.scatter_add_(0, y_1B, -share_B[None])
        return loss, error_CB.to(x_BD) @ x_BD
