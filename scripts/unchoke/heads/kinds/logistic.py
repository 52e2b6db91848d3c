"""Multinomial logistic regression, as scikit-learn's LogisticRegression states it, along a path of C.

    minimise  sum_n w_n CE(W x_n + b, y_n) / sum_n w_n  +  ||W||² / (2 C N)

by L-BFGS, smallest C first; the intercept b is not penalised. Each starts where the two solutions before point to, as a
line over log C, if that is better than the last of them. Where there are rows enough, L-BFGS works in coordinates in
which the curvature is about 1: along the eigenvectors of the features' products, each divided by the square root of
mean(p (1 - p)) × eigenvalue + 1 / (C N), the diagonal of the Hessian as if p were independent of the features.

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

from unchoke.heads.products import single_products
from unchoke.heads.rows import Rows, class_weights, moments, score
from unchoke.heads.train import Fitted
from unchoke.training.choose import best

_BLOCK = 1024  # rows
_ENOUGH = 4  # rows a feature from which on steps are dearer than the change of coordinates


def fit(
    train: Rows, val: Rows, n_classes: int, settings: dict[str, Any], device: torch.device, states: Path | None = None
) -> Fitted:
    """Fit every C of the settings; keep the smallest of equally good ones on val."""
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
class _Coordinates:
    """A linear change of coordinates, in which the weights are (C, D + 1), the intercept last."""

    basis_DD: torch.Tensor | None
    """Orthonormal columns; None: the features themselves."""
    scale_CE: torch.Tensor

    def outwards(self, inner: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights and intercepts."""
        return self._turned(self._matrix(inner) * self.scale_CE, back=True)

    def inwards(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of ``outwards``."""
        return (self._matrix(self._turned(self._matrix(theta))) / self.scale_CE).cpu().numpy().ravel()

    def gradient(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """By these coordinates, from that by weights and intercepts."""
        return (self._matrix(self._turned(self._matrix(gradient))) * self.scale_CE).cpu().numpy().ravel()

    def _matrix(self, values: NDArray[np.float64]) -> torch.Tensor:
        return torch.from_numpy(values).to(self.scale_CE.device).view(self.scale_CE.shape)

    def _turned(self, values_CE: torch.Tensor, *, back: bool = False) -> NDArray[np.float64]:
        if self.basis_DD is not None:
            basis_DD = self.basis_DD.T if back else self.basis_DD
            values_CE = torch.cat([values_CE[:, :-1] @ basis_DD, values_CE[:, -1:]], 1)
        return values_CE.cpu().numpy().ravel()


@dataclass(frozen=True)
class _End:
    """Where a minimisation stopped."""

    iterations: int
    gradient: float
    """Its largest entry."""
    loss: float
    reached: bool
    """Whether this is the minimum, to the tolerance or as near as float64 comes; else the iterations ran out."""


@dataclass(frozen=True)
class _Evaluation:
    """Loss and gradient at one place, without the penalty."""

    theta: NDArray[np.float64]
    dtype: torch.dtype  # of the products
    loss: torch.Tensor
    gradient_CD: torch.Tensor


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
        """start: tensors of a checkpoint to start from; None: zeros."""
        self.settings, self.n_classes, self.pool = settings, n_classes, pool
        dtype = self.dtype = getattr(torch, settings["precision"])
        self.mean_D, self.scale_D = moments(train.x_ND, settings["standardize"])
        rows, width = train.x_ND.shape
        # The last column's ones are for the intercept.
        self.x_ND = torch.ones((rows, width + 1), dtype=dtype, device=train.x_ND.device)
        for first in range(0, rows, _BLOCK):
            part = slice(first, first + _BLOCK)
            self.x_ND[part, :-1] = (train.x_ND[part].float() - self.mean_D) / self.scale_D
        self.y_N = train.labels()
        weight_N = class_weights(self.y_N, n_classes, settings["class_weights"])[self.y_N].double()
        self.share_N = weight_N / weight_N.sum()
        self.theta = np.zeros(n_classes * self.x_ND.shape[1])
        self.before: list[tuple[float, NDArray[np.float64]]] = []  # log C and solution, of the last two
        self.basis = self._eigenvectors() if rows >= _ENOUGH * width else None
        self.known: list[_Evaluation] = []  # the last two
        if start:
            self.theta = torch.cat([start["weight"], start["bias"][:, None]], 1).double().cpu().numpy().ravel()

    def solve(self, c: float) -> _End:
        """Go to the minimum for `c` from where we are."""
        penalty, left = 1 / (c * len(self.x_ND)), self.settings["max_iterations"]
        self._point_ahead(c, penalty)
        for dtype in dict.fromkeys((self.x_ND.dtype, torch.float64)):
            self.dtype = dtype
            left -= int(self._descend(penalty, left).nit)
            loss, _ = self._loss_and_gradient(self.theta, penalty)
            gradient = self.gradient
            reached = gradient <= self.settings["tolerance"] * loss
            if reached or left <= 0:
                break
        self.before = [*self.before[-1:], (np.log(c), self.theta)]
        return _End(self.settings["max_iterations"] - left, gradient, loss, reached or left > 0)

    def _point_ahead(self, c: float, penalty: float) -> None:
        """Start where the line through the last two solutions is at log C, if the loss is lower there."""
        self.dtype = self.x_ND.dtype
        if len(self.before) < 2:
            return
        (first, theta_first), (second, theta_second) = self.before
        ahead = theta_second + (theta_second - theta_first) * (np.log(c) - second) / (second - first)
        if self._loss_and_gradient(ahead, penalty)[0] < self._loss_and_gradient(self.theta, penalty)[0]:
            self.theta = ahead

    def _eigenvectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Eigenvalues (D,) and eigenvectors (D, D) of the features' mean products, float64."""
        width = self.x_ND.shape[1] - 1
        product_DD = torch.zeros((width, width), dtype=torch.float64, device=self.x_ND.device)
        for start in range(0, len(self.x_ND), _BLOCK):
            x_BD = self.x_ND[start : start + _BLOCK, :-1]
            product_DD += x_BD.T @ x_BD
        value_D, vector_DD = torch.linalg.eigh(product_DD / len(self.x_ND))
        return value_D.clamp_min(0), vector_DD

    def _coordinates(self, penalty: float) -> _Coordinates:
        """See the module; p is that of the place where we are."""
        shape = (self.n_classes, self.x_ND.shape[1])
        if self.basis is None:
            return _Coordinates(None, torch.ones(shape, dtype=torch.float64, device=self.x_ND.device))
        value_D, vector_DD = self.basis
        weight_CD = torch.from_numpy(self.theta).to(self.x_ND.device, self.dtype).view(shape)
        starts = range(0, len(self.x_ND), _BLOCK)
        spread_C = torch.stack(list(self.pool.map(partial(self._spread, weight_CD), starts))).sum(0).clamp_min(1e-12)
        curvature_CD = spread_C[:, None] * value_D + penalty
        turned = _Coordinates(vector_DD, torch.cat([curvature_CD, spread_C[:, None]], 1).rsqrt())
        # SciPy's first step is 1 long. Where curvatures are about 1, that to the minimum is as long as the gradient.
        length = float(np.linalg.norm(turned.gradient(self._loss_and_gradient(self.theta, penalty)[1])))
        return replace(turned, scale_CE=turned.scale_CE * length) if length else turned

    def _spread(self, weight_CD: torch.Tensor, start: int) -> torch.Tensor:
        """Contribution of a block of rows to mean(p (1 - p)) of every class."""
        rows = slice(start, start + _BLOCK)
        p_CB = (weight_CD @ self.x_ND[rows].to(self.dtype).T).double().softmax(0)
        return (p_CB * (1 - p_CB)) @ self.share_N[rows]

    def _descend(self, penalty: float, most: int) -> OptimizeResult:
        """L-BFGS until the tolerance, or until rounding of the products ends the line search."""

        def stop_at_minimum(intermediate_result: OptimizeResult) -> None:
            if self.gradient <= self.settings["tolerance"] * intermediate_result.fun:
                raise StopIteration

        turned = self._coordinates(penalty)
        start = turned.inwards(self.theta)

        def inner(place: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            theta = self.theta if np.array_equal(place, start) else turned.outwards(place)
            loss, gradient = self._loss_and_gradient(theta, penalty)
            return loss, turned.gradient(gradient)

        result = minimize(
            inner,
            start,
            jac=True,
            method="L-BFGS-B",
            callback=stop_at_minimum,
            options={"maxiter": most, "maxfun": 20 * most, "gtol": 0, "ftol": 0},
        )
        self.theta = turned.outwards(result.x)
        return result

    def tensors(self) -> dict[str, torch.Tensor]:
        """Tensors of the checkpoint."""
        solution_CD = torch.from_numpy(self.theta).float().to(self.x_ND.device).view(self.n_classes, -1)
        weight_CD, bias_C = solution_CD[:, :-1].clone(), solution_CD[:, -1].clone()
        return {"mean": self.mean_D, "scale": self.scale_D, "weight": weight_CD, "bias": bias_C}

    def _loss_and_gradient(self, theta: NDArray[np.float64], penalty: float) -> tuple[float, NDArray[np.float64]]:
        known = self._without_penalty(theta)
        weight_CD = torch.from_numpy(theta).to(self.x_ND.device).view(self.n_classes, -1)
        loss = known.loss + 0.5 * penalty * weight_CD[:, :-1].square().sum()
        gradient_CD = known.gradient_CD + penalty * weight_CD
        gradient_CD[:, -1] = known.gradient_CD[:, -1]
        self.gradient = float(gradient_CD.abs().max())
        return float(loss), gradient_CD.cpu().numpy().ravel()

    def _without_penalty(self, theta: NDArray[np.float64]) -> _Evaluation:
        """Products as the settings say, sums in float64, or the line search would end in their noise.

        Rows go in blocks that stay in the processor's cache between the two products: memory is read once, not twice.
        Classes come first: with 10 of them on 1,280 features torch multiplies three times as fast as with classes last.
        A path asks again for the place where it stands, under the next penalty.
        """
        for known in self.known:
            if known.dtype == self.dtype and np.array_equal(known.theta, theta):
                return known
        weight_CD = torch.from_numpy(theta).to(self.x_ND.device, self.dtype).view(self.n_classes, -1)
        loss, gradient_CD = self.share_N.new_zeros(()), torch.zeros_like(weight_CD, dtype=torch.float64)
        starts = range(0, len(self.x_ND), _BLOCK)
        for part, part_CD in self.pool.map(partial(self._block, weight_CD), starts):
            loss += part
            gradient_CD += part_CD
        found = _Evaluation(theta.copy(), self.dtype, loss, gradient_CD)
        self.known = [found, *self.known[:1]]
        return found

    def _block(self, weight_CD: torch.Tensor, start: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Contribution of a block of rows to loss and gradient, without the penalty."""
        rows = slice(start, start + _BLOCK)
        x_BD, share_B, y_1B = self.x_ND[rows].to(self.dtype), self.share_N[rows], self.y_N[None, rows]
        logits_CB = (weight_CD @ x_BD.T).double()
        log_sum_B = logits_CB.logsumexp(0)
        loss = ((log_sum_B - logits_CB.gather(0, y_1B)[0]) * share_B).sum()
        error_CB = (logits_CB - log_sum_B).exp_().mul_(share_B)
        error_CB.scatter_add_(0, y_1B, -share_B[None])
        return loss, error_CB.to(x_BD) @ x_BD
