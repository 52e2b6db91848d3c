"""Pure: calibration of probabilities: the temperature of the logits, and the losses that judge probabilities.

    probability = softmax(logits / T)

T > 0 is fitted on val alone (Guo et al. 2017, arXiv:1706.04599). It moves no prediction, since the order of logits
stays. Heads of all kinds get one, because their raw probabilities follow different conventions.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import logsumexp

from unchoke.metrics import classification

LEAST, MOST = 0.01, 100.0
"""What a temperature is sought between."""
_LOG_BOUNDS = (float(np.log(LEAST)), float(np.log(MOST)))
_TOLERANCE = 1e-7  # of log T


def fit_temperature(label_N: NDArray[np.integer], logits_NC: NDArray[np.floating]) -> tuple[float, str]:
    """The temperature with the least mean log loss, and why it is not that of a minimum; empty where it is.

    The loss is convex in 1/T, so that it has one minimum at most. It has none where every row is right: the smaller T,
    the smaller the loss. T is then that at which the mean loss is log((N + 2) / (N + 1)), beyond what ties cost at any
    T. N rows without a mistake tell no more: (N + 1) / (N + 2) is the rule of succession, and Platt's target (1999,
    "Probabilistic outputs for support vector machines").
    """
    if not np.isfinite(logits_NC).all():
        return 1.0, "logits on val are not all finite: the temperature is 1"

    def loss(log_t: float) -> float:
        return float(log_losses(label_N, logits_NC, float(np.exp(log_t))).mean())

    likeliest_NC = logits_NC == logits_NC.max(1, keepdims=True)
    if likeliest_NC[np.arange(len(label_N)), label_N].all():
        least_loss = float(np.log(likeliest_NC.sum(1)).mean())
        temperature = float(np.exp(_reached(loss, least_loss + float(np.log1p(1 / (len(label_N) + 1))))))
        return temperature, f"val is separated perfectly: its likelihood sets no temperature, taken {temperature:.4g}"
    log_t = float(minimize_scalar(loss, bounds=_LOG_BOUNDS, method="bounded", options={"xatol": _TOLERANCE}).x)
    at_bound = min(abs(log_t - bound) for bound in _LOG_BOUNDS) < 1e3 * _TOLERANCE
    note = (
        f"the temperature that suits val is beyond {LEAST} to {MOST:g}, taken {np.exp(log_t):.4g}" if at_bound else ""
    )
    return float(np.exp(log_t)), note


def fit_temperatures(label_N: NDArray[np.integer], logits_RNC: NDArray[np.floating]) -> tuple[list[float], list[str]]:
    """The temperature of each replicate, and the warnings."""
    temperatures, notes = zip(*(fit_temperature(label_N, logits_NC) for logits_NC in logits_RNC), strict=True)
    several = len(notes) > 1
    return list(temperatures), [
        f"{note}, replicate {place}" if several else note for place, note in enumerate(notes) if note
    ]


def probabilities(logits_RNC: NDArray[np.floating], temperatures: Sequence[float]) -> NDArray[np.float64]:
    """Calibrated probabilities, float64 (R, N, C); a temperature for each replicate."""
    return classification.softmax(logits_RNC / np.array(temperatures, np.float64)[:, None, None])


def log_losses(
    label_N: NDArray[np.integer], logits_NC: NDArray[np.floating], temperature: float = 1.0
) -> NDArray[np.float64]:
    """Minus the logarithm of the label's probability, in nats, of each row; float64 (N,)."""
    scaled_NC = logits_NC / np.float64(temperature)
    return np.asarray(logsumexp(scaled_NC, axis=1) - scaled_NC[np.arange(len(label_N)), label_N])


def brier_scores(label_N: NDArray[np.integer], probability_NC: NDArray[np.floating]) -> NDArray[np.float64]:
    """Squared differences of probabilities and indicators of the label, summed over classes; float64 (N,), 0 to 2.

    The score of Brier 1950; for two classes it is twice that of one class alone.
    """
    indicator_NC = np.eye(probability_NC.shape[1])[label_N]
    return np.asarray(np.square(probability_NC - indicator_NC).sum(1))


def _reached(loss: Callable[[float], float], wanted: float) -> float:
    """Log T at which a loss that grows with it is as wanted; the nearer bound where it is so at none."""
    low, high = _LOG_BOUNDS
    if loss(low) >= wanted or loss(high) <= wanted:
        return low if loss(low) >= wanted else high
    return float(brentq(lambda log_t: loss(log_t) - wanted, low, high, xtol=_TOLERANCE))
