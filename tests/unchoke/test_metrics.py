"""Figures of merit agree with scikit-learn."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from unchoke.metrics import accuracy, balanced_accuracy

pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(pairs)
def test_metrics_are_those_of_scikit_learn(pairs):
    label_N, predicted_N = np.array(pairs).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn remarks on predicted classes that do not occur
        assert accuracy(label_N, predicted_N) == pytest.approx(accuracy_score(label_N, predicted_N))
        assert balanced_accuracy(label_N, predicted_N) == pytest.approx(balanced_accuracy_score(label_N, predicted_N))


def test_balanced_accuracy_gives_a_rare_class_the_weight_of_a_common_one():
    label_N, predicted_N = np.array([0] * 9 + [1]), np.zeros(10, int)
    assert (accuracy(label_N, predicted_N), balanced_accuracy(label_N, predicted_N)) == (0.9, 0.5)
