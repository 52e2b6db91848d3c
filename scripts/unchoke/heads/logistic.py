"""Multinomial logistic regression, as scikit-learn's LogisticRegression states it, along a path of C.

    minimise  mean_n CE(W x_n + b, y_n) + ||W||² / (2 C N)

by L-BFGS from the solution of the C before, smallest first; the intercept b is not penalised.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from unchoke.heads import Fitted, Rows


def fit(train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device) -> Fitted:
    """Fit every C of the settings; of those with the best val accuracy the smallest is kept."""
    mean_D, scale_D = _moments(train.x_ND, settings["standardize"])
    x_ND = (train.x_ND - mean_D) / scale_D
    x_ND = torch.cat([x_ND, torch.ones_like(x_ND[:, :1])], 1)  # the last weight of a class is its intercept
    one_hot_CN = torch.nn.functional.one_hot(train.y_N, n_classes).T.to(x_ND)
    history: dict[str, list[float]] = {name: [] for name in ("c", "iterations", "gradient", "loss", "val_accuracy")}
    theta = np.zeros(n_classes * x_ND.shape[1])
    best: Fitted | None = None
    best_accuracy = -1.0
    for c in sorted(settings["c"]):
        with threadpool_limits(1, "blas"), torch_threads(_worthwhile_threads(theta.size * len(x_ND))):
            result = minimize(
                _loss_and_gradient,
                theta,
                args=(x_ND, one_hot_CN, 1 / (c * len(x_ND))),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": settings["max_iterations"], "gtol": settings["tolerance"], "ftol": 0, "maxls": 50},
            )
        theta = result.x
        solution = torch.from_numpy(theta).to(x_ND).view(n_classes, -1)
        weight_CD, bias_C = solution[:, :-1].clone(), solution[:, -1].clone()
        tensors = {"mean": mean_D, "scale": scale_D, "weight": weight_CD, "bias": bias_C}
        accuracy = float((predict(tensors, settings, val.x_ND, device).argmax(1) == val.y_N).float().mean())
        gradient = float(np.abs(result.jac).max())
        for name, value in zip(history, (c, result.nit, gradient, result.fun, accuracy), strict=True):
            history[name].append(float(value))
        if accuracy > best_accuracy:
            best_accuracy, best = accuracy, Fitted(tensors, {"c": c}, history)
    assert best is not None
    return best


def predict(
    tensors: dict[str, torch.Tensor], settings: dict[str, Any], x_ND: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """Logits, float32 (N, C)."""
    part = {name: tensor.to(device) for name, tensor in tensors.items()}
    return ((x_ND - part["mean"]) / part["scale"]) @ part["weight"].T + part["bias"]


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


def _moments(x_ND: torch.Tensor, standardize: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of every feature; 0 and 1 where not asked for, deviation 1 where a feature is constant."""
    if not standardize:
        return torch.zeros_like(x_ND[0]), torch.ones_like(x_ND[0])
    deviation_D = x_ND.std(0, correction=0)
    return x_ND.mean(0), torch.where(deviation_D > 0, deviation_D, 1)


def _loss_and_gradient(
    theta: NDArray[np.float64], x_ND: torch.Tensor, one_hot_CN: torch.Tensor, penalty: float
) -> tuple[float, NDArray[np.float64]]:
    """Products in float32, sums in float64, or the line search would end in their noise.

    Classes come first: with 10 of them on 1,280 features torch multiplies three times as fast as with classes last.
    """
    weight_CD = torch.from_numpy(theta).to(x_ND).view(len(one_hot_CN), -1)
    logits_CN = (weight_CD @ x_ND.T).double()
    log_sum_N = logits_CN.logsumexp(0)
    loss = (log_sum_N - (logits_CN * one_hot_CN).sum(0)).mean() + 0.5 * penalty * weight_CD[:, :-1].square().sum()
    error_CN = ((logits_CN - log_sum_N).exp_() - one_hot_CN).div_(len(x_ND))
    gradient_CD = error_CN.to(x_ND) @ x_ND
    gradient_CD[:, :-1] += penalty * weight_CD[:, :-1]
    return float(loss), gradient_CD.double().cpu().numpy().ravel()
