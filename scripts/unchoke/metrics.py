"""Figures of merit of a classifier, from its predictions."""

import numpy as np
from numpy.typing import NDArray


def accuracy(label_N: NDArray[np.integer], predicted_N: NDArray[np.integer]) -> float:
    """Share of rows whose prediction is their label, 0 to 1."""
    return float(np.mean(label_N == predicted_N))


def balanced_accuracy(label_N: NDArray[np.integer], predicted_N: NDArray[np.integer]) -> float:
    """Mean over the classes that occur of the share of their rows that is recognised, 0 to 1."""
    recalls = [float(np.mean(predicted_N[label_N == label] == label)) for label in np.unique(label_N)]
    return float(np.mean(recalls))
