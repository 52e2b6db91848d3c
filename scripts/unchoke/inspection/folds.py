"""Pure: folds that keep units (groups, and copies) whole and have the same share of every class."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xxhash
from numpy.typing import NDArray

from unchoke.errors import SplitError

Ints = NDArray[np.int64]


def deal_folds(y_N: Ints, unit_N: NDArray[np.object_], name_N: Sequence[str], folds: int, seed: int) -> Ints:
    """The fold of each of N images, 0 to `folds` - 1, int64 (N,).

    y_N: places of the labels. unit_N: '' for an image alone; images of one unit share a fold. name_N: paths.

    Units come in the order of their size, of equals in that of the seeded XXH3-64 of their first name. Each goes to the
    fold that has fewest images of its classes, of equals to the smallest one. The result depends neither on the machine
    nor on the order of the rows.
    """
    unit_of, count_U = _units(unit_N)
    draw_N = np.array(
        [xxhash.xxh3_64_intdigest(name.encode("utf-8", "surrogateescape"), seed=seed) for name in name_N], np.uint64
    )
    draw_U = np.full(len(count_U), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(draw_U, unit_of, draw_N)
    by_unit = np.argsort(unit_of, kind="stable")
    members = np.split(by_unit, np.cumsum(count_U)[:-1])
    of_class = np.zeros((folds, int(y_N.max()) + 1), np.int64)
    fold_N = np.empty(len(y_N), np.int64)
    for unit in np.lexsort((draw_U, -count_U)):
        classes, counts = np.unique(y_N[members[unit]], return_counts=True)
        fold = int(np.lexsort((of_class.sum(1), of_class[:, classes] @ counts))[0])
        of_class[fold, classes] += counts
        fold_N[members[unit]] = fold
    return fold_N


def refuse_few(y_N: Ints, classes: Sequence[str], folds: int) -> None:
    """SplitError where there is one class, or a class with fewer images than folds."""
    if len(classes) < 2:
        raise SplitError(
            "Labels cannot be doubted: there is one class.",
            found=f"class {', '.join(classes)}",
            expected="two classes or more in train",
            do="set cleaning.features.rules.mislabelled to null, or label more classes",
        )
    count_C = np.bincount(y_N, minlength=len(classes))
    few = int(count_C.argmin())
    if count_C[few] < folds:
        raise SplitError(
            "A class has fewer images than there are folds.",
            found=f"{count_C[few]} of '{classes[few]}'",
            expected=f"at least {folds}, cleaning.features.rules.mislabelled.folds",
            do="lower folds, or add images of this class",
        )


def refuse_unseen(y_N: Ints, fold_N: Ints, classes: Sequence[str]) -> None:
    """SplitError where all images of a class share a fold, so that the head that judges them has not seen the class."""
    for place, name in enumerate(classes):
        if len(np.unique(fold_N[y_N == place])) < 2:
            raise SplitError(
                "All images of a class are in one fold, since groups and copies are never parted.",
                found=f"class '{name}'",
                expected="images of each class in two folds or more",
                do="set another cleaning.features.rules.mislabelled.folds, add images of this class from other groups, "
                "or set mislabelled to null",
            )


def _units(unit_N: NDArray[np.object_]) -> tuple[Ints, Ints]:
    """The number of each image's unit (N,), and the images of each unit (U,)."""
    alone = unit_N == ""
    number_N = pd.factorize(unit_N)[0].astype(np.int64)
    number_N[alone] = len(unit_N) + np.flatnonzero(alone)
    _, unit_of, count_U = np.unique(number_N, return_inverse=True, return_counts=True)
    return unit_of.astype(np.int64), count_U.astype(np.int64)
