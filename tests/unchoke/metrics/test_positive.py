"""The positive class of two: which one it is, and what is said of a name that is none."""

import numpy as np
import pytest

from unchoke.errors import UnchokeError
from unchoke.metrics.positive import positive_last, positive_place


@pytest.mark.parametrize(
    ("classes", "positive", "place"),
    [
        (["ant", "bee"], None, 1),
        (["bee", "ant"], None, 0),  # the second by name
        (["ant", "bee"], "ant", 0),
        (["bee", "ant"], "ant", 1),
        (["ant", "bee", "cat"], None, None),
        (["ant"], None, None),
    ],
)
def test_one_of_two_is_positive(classes: list[str], positive: str | None, place: int | None) -> None:
    assert positive_place(classes, positive) == place


@pytest.mark.parametrize(
    ("classes", "positive", "said"),
    [
        (["benign", "malignant"], "malignat", "did you mean 'malignant'?"),
        (["benign", "malignant"], "Malignant", "did you mean 'malignant'?"),
        (["0", "1"], "yes", "known are: 0, 1"),
        (["ant", "bee", "cat"], "bee", "3 classes: ant, bee, cat"),
    ],
)
def test_a_name_that_is_none_of_two_is_refused_with_the_nearest(classes: list[str], positive: str, said: str) -> None:
    with pytest.raises(UnchokeError) as refused:
        positive_place(classes, positive)
    assert said in str(refused.value) and f"evaluation.positive '{positive}'" in str(refused.value)


def test_predictions_are_turned_where_the_positive_class_is_first() -> None:
    label_N, logits_RNC = np.array([0, 1, 1]), np.array([[[1.0, 2], [3, 4], [5, 6]]])
    for positive, turned in (("ant", True), ("bee", False), (None, False)):
        labels, logits = positive_last(label_N, logits_RNC, ["ant", "bee"], positive)
        assert labels.tolist() == ([1, 0, 0] if turned else [0, 1, 1])
        assert logits[0, 0].tolist() == ([2, 1] if turned else [1, 2])
