"""Choices against a plain loop over one member: weights that are kept, early stops, the best setting."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.training.choose import best, choose, ended, grid_of, judge

SETTINGS = {"kind": "linear", "learning_rates": [0.1, 0.2], "weight_decays": [0.0, 0.5]}
scores_of_a_member = st.lists(st.sampled_from([0.1, 0.2, 0.3, math.nan]), min_size=6, max_size=6)


def plain(scores: list[float], keep: str, patience: int | None) -> tuple[list[bool], float, bool]:
    """Validations whose weights are kept, the score of the kept ones, and whether the member has ended."""
    kept, known, highest, since, has_ended = [], math.nan, -math.inf, 0, False
    for step, score in enumerate(scores, 1):
        better = not has_ended and (keep == "last" or math.isnan(known) or score > known)
        kept.append(better)
        known = score if better else known
        if score > highest:
            highest, since = score, step
        has_ended = has_ended or (patience is not None and step - since >= patience)
    return kept, known, has_ended


@given(
    scores=st.lists(scores_of_a_member, min_size=1, max_size=4),
    keep=st.sampled_from(["best", "last"]),
    patience=st.one_of(st.none(), st.integers(1, 4)),
)
def test_every_member_is_judged_as_alone(scores: list[list[float]], keep: str, patience: int | None) -> None:
    tensors = {"scores": torch.full((len(scores),), math.nan, dtype=torch.float64)}
    validations = torch.tensor(scores, dtype=torch.float64).T
    kept = [judge(tensors, score_M, step, keep, patience).tolist() for step, score_M in enumerate(validations, 1)]
    expected = [plain(member, keep, patience) for member in scores]
    assert [list(column) for column in zip(*kept, strict=True)] == [member[0] for member in expected]
    np.testing.assert_array_equal(tensors["scores"], [member[1] for member in expected])
    assert ended(tensors).tolist() == [member[2] for member in expected]


def test_the_best_setting_is_that_of_the_highest_mean_over_the_seeds() -> None:
    scores_SL = np.array([[0.9, 0.5, 0.8, math.nan], [0.3, 0.6, 0.6, 1.0]])
    choice = choose(SETTINGS, scores_SL, "val_score")
    assert grid_of(SETTINGS) == [(0.1, 0.0), (0.1, 0.5), (0.2, 0.0), (0.2, 0.5)]
    assert (choice.place, choice.chosen) == (2, {"learning_rate": 0.2, "weight_decay": 0.0})
    assert choice.history["learning_rate"] == [0.1, 0.1, 0.2, 0.2]
    np.testing.assert_allclose(choice.history["val_score"], [0.6, 0.55, 0.7, math.nan])


@pytest.mark.parametrize(
    ("scores", "place"), [([0.5, 0.7, 0.7], 1), ([np.nan, 0.2], 1), ([0.0], 0), ([0.3, np.nan, 0.1], 0)]
)
def test_the_first_of_the_best_is_taken(scores: list[float], place: int) -> None:
    assert best(scores, "knn") == place


def test_where_nothing_is_known_there_is_no_best() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)knn.*infinite.*learning_rates"):
        best([math.nan, math.inf], "knn")
