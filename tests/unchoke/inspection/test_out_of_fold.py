"""Out-of-fold probabilities beside scikit-learn's ``cross_val_predict`` on the same folds."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_features import clouds, rows_of

from unchoke.config import heads
from unchoke.inspection.out_of_fold import chosen_settings, out_of_fold
from unchoke.metrics.calibration import fit_temperature

CPU = torch.device("cpu")
X_ND, Y_N = clouds([30, 20, 25], 6, 0)
FOLD_N = np.arange(len(Y_N)) % 3


def calibrated(logits_NC: np.ndarray) -> np.ndarray:
    return softmax(logits_NC / fit_temperature(Y_N, logits_NC)[0], axis=1)


def test_logistic_probabilities_are_those_of_cross_val_predict() -> None:
    """Ours takes the mean loss: C times as many rows is scikit-learn's, with 50 rows of the other folds."""
    head = heads.Logistic(kind="logistic", c=[0.1], tolerance=1e-7, precision="float64").model_dump()
    found = out_of_fold(rows_of(X_ND, Y_N), FOLD_N, 3, head, CPU)
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000))
    x_ND, split = X_ND.astype(np.float64), PredefinedSplit(FOLD_N)
    p_NC = cross_val_predict(peer, x_ND, Y_N, cv=split, method="predict_proba")
    assert found == pytest.approx(calibrated(np.log(p_NC)), abs=2e-4)


def test_ridge_probabilities_are_those_of_cross_val_predict() -> None:
    head = heads.Ridge(kind="ridge", penalty=[3.0]).model_dump()
    found = out_of_fold(rows_of(X_ND, Y_N), FOLD_N, 3, head, CPU)
    peer = make_pipeline(StandardScaler(), Ridge(alpha=3.0))
    indicator_NC = cross_val_predict(peer, X_ND.astype(np.float64), np.eye(3)[Y_N], cv=PredefinedSplit(FOLD_N))
    logits_NC = np.log(np.maximum(indicator_NC, 1e-3)) + 1e-3 * indicator_NC
    assert found == pytest.approx(calibrated(log_softmax(logits_NC, axis=1)), abs=1e-4)


def test_the_chosen_penalty_is_the_only_one_left() -> None:
    rows, val = rows_of(X_ND, Y_N), rows_of(*clouds([9, 9, 9], 6, 1))
    head = heads.Ridge(kind="ridge", choose_by="log_loss").model_dump()
    chosen = chosen_settings(rows, val, 3, head, CPU)
    assert len(chosen["penalty"]) == 1
    assert chosen["penalty"][0] in head["penalty"]
    assert {**chosen, "penalty": 0} == {**head, "penalty": 0}
