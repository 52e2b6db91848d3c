"""Multinomial logistic regression, as scikit-learn's LogisticRegression states it, along a path of C.

    minimise  sum_n w_n CE(W x_n + b, y_n) / sum_n w_n  +  ||W||² / (2 C N)

by L-BFGS from the solution of the C before, smallest first; the intercept b is not penalised.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from unchoke.heads import Fitted
from unchoke.heads.rows import Rows, best, class_weights, moments, score


def fit(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, drafts: Path | None = None
) -> Fitted:
    """Fit every C of the settings; of those with the best score on val the smallest is kept."""
    history: dict[str, list[Any]] = {name: [] for name in ("c", "iterations", "gradient", "loss", "val_score")}
    candidates = []
    problem = _Problem(train, n_classes, settings)
    for c in sorted(settings["c"]):
        found = problem.solve(c)
        candidates.append(problem.tensors())
        value = float(score(predict(candidates[-1], settings, val.x_ND, device), val, settings["choose_by"]))
        for name, entry in zip(history, (c, *found, value), strict=True):
            history[name].append(entry)
    place = best(history["val_score"], "logistic")
    tensors, c = candidates[place], history["c"][place]
    if settings["refit"]:
        problem = _Problem(_joined(train, val), n_classes, settings, start=problem.theta)
        problem.solve(c)
        tensors = problem.tensors()
    return Fitted([tensors], {"c": c}, history)


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


class _Problem:
    """The loss on some rows, and where its minimisation stands.

    The minimiser works on weights in the basis of the eigenvectors of the features' covariance, each divided by the
    square root of the curvature that the loss has there: L-BFGS needs a fraction of the steps, for the same minimum.
    """

    def __init__(
        self, train: Rows, n_classes: int, settings: dict[str, Any], start: NDArray[np.float64] | None = None
    ) -> None:
        self.settings, self.n_classes = settings, n_classes
        dtype = getattr(torch, settings["precision"])
        self.mean_D, self.scale_D = moments(train.x_ND, settings["standardize"])
        self.x_ND = ((train.x_ND.float() - self.mean_D) / self.scale_D).to(dtype)
        self.x_ND = torch.cat([self.x_ND, torch.ones_like(self.x_ND[:, :1])], 1)  # its weight is the intercept
        y_N = train.labels()
        weight_N = class_weights(y_N, n_classes, settings["class_weights"])[y_N].double()
        self.share_N = weight_N / weight_N.sum()
        self.one_hot_CN = torch.nn.functional.one_hot(y_N, n_classes).T.to(self.x_ND)
        self.theta = np.zeros(n_classes * self.x_ND.shape[1]) if start is None else start

    def solve(self, c: float) -> tuple[int, float, float]:
        """Go to the minimum for `c` from where we are: iterations, largest entry of the gradient there, loss."""
        penalty = 1 / (c * len(self.x_ND))
        with threadpool_limits(1, "blas"), torch_threads(_worthwhile_threads(self.theta.size * len(self.x_ND))):
            result = minimize(
                self._loss_and_gradient,
                self.theta,
                args=(penalty,),
                jac=True,
                method="L-BFGS-B",
                options={
                    "maxiter": self.settings["max_iterations"],
                    "gtol": self.settings["tolerance"],
                    "ftol": 0,
                    "maxls": 50,
                },
            )
        self.theta = result.x
        return int(result.nit), float(np.abs(result.jac).max()), float(result.fun)

    def tensors(self) -> dict[str, torch.Tensor]:
        """What the checkpoint holds."""
        solution_CD = torch.from_numpy(self.theta).float().to(self.x_ND.device).view(self.n_classes, -1)
        weight_CD, bias_C = solution_CD[:, :-1].clone(), solution_CD[:, -1].clone()
        return {"mean": self.mean_D, "scale": self.scale_D, "weight": weight_CD, "bias": bias_C}

    def _loss_and_gradient(self, theta: NDArray[np.float64], penalty: float) -> tuple[float, NDArray[np.float64]]:
        """Products as the settings say, sums in float64, or the line search would end in their noise.

        Classes come first: with 10 of them on 1,280 features torch multiplies three times as fast as with classes last.
        """
        weight_CD = torch.from_numpy(theta).to(self.x_ND).view(self.n_classes, -1)
        logits_CN = (weight_CD @ self.x_ND.T).double()
        log_sum_N = logits_CN.logsumexp(0)
        loss = ((log_sum_N - (logits_CN * self.one_hot_CN).sum(0)) * self.share_N).sum()
        loss += 0.5 * penalty * weight_CD[:, :-1].square().sum()
        error_CN = ((logits_CN - log_sum_N).exp_() - self.one_hot_CN).mul_(self.share_N)
        gradient_CD = error_CN.to(self.x_ND) @ self.x_ND
        gradient_CD[:, :-1] += penalty * weight_CD[:, :-1]
        return float(loss), gradient_CD.double().cpu().numpy().ravel()


def _worthwhile_threads(products: int) -> int:
    """One where a step takes milliseconds: a second thread gains 15 %, and waits where another process has its core."""
    return 1 if products < 2e9 else torch.get_num_threads()


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch compute with `count` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
