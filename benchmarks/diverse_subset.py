"""Are images that `subset: {diverse: n}` or `{typical: n}` lists worth more than as many random ones, once labelled?

No limit: it is stated which way it falls.

The digits of scikit-learn, and photographs with one folder a class (--data), pass EfficientNet-Lite0 with the weights
of its package. In each of --draws random splits, 15 % are val and 30 % test, by class. Of the rest, without a look at
their labels, 5, 10 or 20 times the number of classes are chosen: at random, or by the functions of `list_to_label` with
nothing labelled before. A ridge head learns on them; val chooses its penalty. Differences of accuracy on test are
paired by split, with the interval of Nadeau and Bengio for overlapping splits. `classes` are those that the chosen
images have, on average.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from common import benchmark_parser, report
from label_errors import encode
from numpy.typing import NDArray

from unchoke.config.heads import Ridge
from unchoke.heads.rows import Rows
from unchoke.heads.train import kind_of
from unchoke.inspection.neighbours import nearest
from unchoke.labelling.diverse import farthest_first
from unchoke.labelling.typical import mean_distances, most_typical
from unchoke.manifest.repeats import repeat_seed
from unchoke.manifest.splits import draw_splits
from unchoke.metrics.repeats import over_splits

SHARES, PER_CLASS, K, CPU = {"val": 0.15, "test": 0.3}, (5, 10, 20), 20, torch.device("cpu")
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Figures = dict[str, object]


def at_random(x_ND: NDArray[np.float16], n: int, seed: int) -> Ints:
    """Places of n rows."""
    return np.random.default_rng(seed).permutation(len(x_ND))[:n]


def diverse(x_ND: NDArray[np.float16], n: int, seed: int) -> Ints:
    """The farthest ones."""
    unit_ND = x_ND / np.linalg.norm(x_ND.astype(np.float64), axis=1, keepdims=True)
    gap_N, draw_N = np.full(len(x_ND), np.inf), _draw(len(x_ND), seed)
    return farthest_first(lambda place_B: unit_ND[place_B], gap_N, draw_N, n, [slice(0, len(x_ND))]).place_M


def typical(x_ND: NDArray[np.float16], n: int, seed: int) -> Ints:
    """The most typical ones."""
    others = partial(_others, len(x_ND))
    cosine_Nk, near_Nk = nearest(x_ND, x_ND, K, CPU, others)
    may_N = np.ones(len(x_ND), bool)
    return most_typical(near_Nk, mean_distances(cosine_Nk, near_Nk), may_N, _draw(len(x_ND), seed), n)


def _others(n: int, queries: slice, known: slice) -> torch.Tensor:
    place_N = torch.arange(n)
    return place_N[queries, None] != place_N[None, known]


def _draw(n: int, seed: int) -> NDArray[np.uint64]:
    return np.random.default_rng(seed).permutation(n).astype(np.uint64)


WAYS: dict[str, Callable[[NDArray[np.float16], int, int], Ints]] = {
    "random": at_random,
    "diverse": diverse,
    "typical": typical,
}


def accuracies(x_ND: NDArray[np.float16], y_N: Ints, seed: int) -> dict[tuple[str, int], tuple[float, int]]:
    """Accuracy on test, and the classes among the chosen images, by way and images a class."""
    split_N = np.array(draw_splits([str(y) for y in y_N], [""] * len(y_N), [""] * len(y_N), SHARES, seed))
    pool, val, test = (np.flatnonzero(split_N == split) for split in ("train", "val", "test"))
    found, n_classes = {}, int(y_N.max()) + 1
    for way, choose in WAYS.items():
        order = choose(x_ND[pool], max(PER_CLASS) * n_classes, seed)
        for per_class in PER_CLASS:
            chosen = pool[order[: per_class * n_classes]]
            accuracy = _accuracy(x_ND, y_N, chosen, val, test, n_classes)
            found[way, per_class] = accuracy, len(np.unique(y_N[chosen]))
    return found


def _accuracy(x_ND: NDArray[np.float16], y_N: Ints, chosen: Ints, val: Ints, test: Ints, n_classes: int) -> float:
    head = Ridge(kind="ridge", choose_by="accuracy").model_dump()
    rows = [
        Rows(torch.from_numpy(x_ND[part]), torch.from_numpy(y_N[part]), part, np.full(len(part), "", object))
        for part in (chosen, val, test)
    ]
    kind = kind_of(head)
    fitted = kind.fit(rows[0], rows[1], n_classes, head, CPU)
    said_N = kind.predict(fitted.replicates[0], head, rows[2].x_ND, CPU).argmax(1)
    return float((said_N == rows[2].y_N).double().mean())


def lines(
    x_ND: NDArray[np.float16], y_N: Ints, name: str, draws: int
) -> tuple[list[list[str]], list[dict[str, object]]]:
    """Rows of the table, and the same as plain data."""
    runs = [accuracies(x_ND, y_N, repeat_seed(0, draw + 1)) for draw in range(draws)]
    test_per_train = SHARES["test"] / (1 - sum(SHARES.values()))
    table, figures = list[list[str]](), list[Figures]()
    for per_class in PER_CLASS:
        for way in WAYS:
            value_R = np.array([run[way, per_class][0] for run in runs])
            gap_R = value_R - np.array([run["random", per_class][0] for run in runs])
            classes = float(np.mean([run[way, per_class][1] for run in runs]))
            cells, difference = ["", ""], over_splits(gap_R, test_per_train, -1, 1)
            if way != "random":
                low, high = difference.interval
                cells = [f"{difference.mean:+.3f}", f"{low:+.3f} to {high:+.3f}"]
            table.append([f"{name}, {per_class} a class, {way}", f"{value_R.mean():.3f}", *cells, f"{classes:.1f}"])
            figures.append({"data": name, "per_class": per_class, "way": way, "accuracies": value_R.tolist()})
    return table, figures


def compare(args: argparse.Namespace) -> int:
    table, figures = [["", "accuracy", "less random", "95 % interval", "classes"]], list[Figures]()
    for name, data in {"digits": None, "photographs": args.data if args.data.is_dir() else False}.items():
        if data is False:
            print(f"skipped: no folder of photographs at {args.data}; name one with --data")
            continue
        x_ND, y_N = encode(data, args.image_size)
        more, told = lines(x_ND, y_N, f"{name} ({len(y_N):,})", args.draws)
        table, figures = table + more, figures + told
    return report(args, table, [], figures)


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--image-size", type=int, default=96, help="height and width of what the encoder sees, px")
    parser.add_argument("--draws", type=int, default=10, help="random splits")
    return compare(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
