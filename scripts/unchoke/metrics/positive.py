"""Pure: the positive class of two, and predictions in an order in which it comes second."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.names import suggestion


def positive_place(classes: Sequence[str], positive: str | None) -> int | None:
    """Place of the positive class of two, by default the second by name; None where there are other than two.

    Raises UnchokeError where one is named that is none of two.
    """
    if positive is None:
        return list(classes).index(max(classes)) if len(classes) == 2 else None
    if len(classes) == 2 and positive in classes:
        return list(classes).index(positive)
    two = len(classes) == 2
    raise UnchokeError(
        "The positive class is none of two.",
        found=f"evaluation.positive '{positive}', and {len(classes)} classes: {', '.join(classes[:5])}"
        + (", …" if len(classes) > 5 else ""),
        expected="the name of one of two classes",
        do=f"{suggestion(positive, classes)} Correct evaluation.positive" if two else "set evaluation.positive to null",
    )


def positive_last(
    label_N: NDArray[np.integer], logits_RNC: NDArray[np.floating], classes: Sequence[str], positive: str | None
) -> tuple[NDArray[np.integer], NDArray[np.floating]]:
    """Labels and logits as if the positive one of two classes stood second in `classes`; others as they are."""
    if positive_place(classes, positive) != 0:
        return label_N, logits_RNC
    return 1 - label_N, logits_RNC[..., ::-1]
