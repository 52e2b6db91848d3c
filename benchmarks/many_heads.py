"""Of 100 equal heads, how often is at least one told apart from the best on val?

Limits: after Holm's correction at least one in at most 0.05 of the tables, but for the simulation's noise. A head that
        is worse by 0.1 is told apart in at least 0.8 of the tables of 2,000 images.

Simulation: heads share the difficulty of each image and err by chance beside it. The best on val is one of them, for
val and test are independent. `compare` and `compare_masks` give the p-values, `holm` adjusts them.
"""

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
from common import Limit, benchmark_parser, report
from numpy.typing import NDArray
from scipy.stats import norm

from unchoke.experiments.comparisons import TOLD_APART, Counts, compare_masks, holm
from unchoke.metrics.evaluation import compare
from unchoke.metrics.influences import scored
from unchoke.metrics.units import Bootstrap

HEADER = ["", "heads", "any below 0.05, one by one", "any told apart, by Holm"]
HEADS = 100
DRAWS = Bootstrap(resamples=100)

Draw = Callable[[np.random.Generator], list[float]]


def image_heads(images: int, groups: int | None = None, worse: float = 0.0) -> Draw:
    """p-values of heads of accuracy 0.9 against the first of them; the last is worse by `worse`."""

    def draw(rng: np.random.Generator) -> list[float]:
        group_N = None if groups is None else rng.integers(0, groups, images).astype(str).astype(object)
        hard_N = rng.normal(size=images) if group_N is None else rng.normal(size=groups)[group_N.astype(int)]
        level_H = norm.ppf(np.r_[np.full(HEADS - 1, 0.9), 0.9 - worse]) * np.sqrt(2)
        right_HN = level_H[:, None] + rng.normal(size=(HEADS, images)) > hard_N
        truth_N = np.ones(images, int)
        logits_HN2 = np.stack([~right_HN, right_HN], 2).astype(float)
        best, *others = (scored("accuracy", truth_N, logits_N2[None], [1.0]) for logits_N2 in logits_HN2)
        return [compare(one, best, group_N).p_value for one in others]

    return draw


def mask_heads(images: int) -> Draw:
    """p-values of equally good mask heads against the first of them."""
    alone = pd.Series([""] * images, dtype=object)

    def draw(rng: np.random.Generator) -> list[float]:
        size_I = rng.integers(5_000, 20_000, images)
        there_I = size_I * rng.beta(4, 8, images)
        base_2I = rng.normal([[1.6], [-2.7]], 0.5, (2, images))
        best, *others = (Counts(np.arange(images), _counts(size_I, there_I, base_2I, rng)) for _ in range(HEADS))
        found = [compare_masks(one, best, alone, DRAWS) for one in others]
        return [one.p_value for one in found if one]

    return draw


def _counts(size_I: NDArray, there_I: NDArray, base_2I: NDArray, rng: np.random.Generator) -> NDArray[np.int64]:
    """Pixels (I, 2, 2) by true and predicted class; how many are hit and falsely found differs from head to head."""
    hit_I, false_I = 1 / (1 + np.exp(-base_2I - rng.normal(0, 0.3, base_2I.shape)))
    rest_I = size_I - there_I
    cells = [rest_I * (1 - false_I), rest_I * false_I, there_I * (1 - hit_I), there_I * hit_I]
    return np.stack(cells, 1).reshape(-1, 2, 2).astype(np.int64)


def settings() -> dict[str, tuple[Draw, int]]:
    """By name: how a table is drawn, and by how many its repetitions are divided."""
    return {
        "equal, 200 images": (image_heads(200), 1),
        "equal, 2,000 images": (image_heads(2_000), 1),
        "equal, 600 images in 12 groups": (image_heads(600, groups=12), 1),
        "equal mask heads, 5 images": (mask_heads(5), 2),
        "equal mask heads, 20 images": (mask_heads(20), 2),
    }


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--repetitions", type=int, default=200, help="tables of each setting; of mask heads half")
    args = parser.parse_args()
    table, limits, figures = [HEADER], [], {}
    for name, (draw, less) in settings().items():
        rng, repetitions = np.random.default_rng(0), args.repetitions // less
        tables = [draw(rng) for _ in range(repetitions)]
        alone = float(np.mean([min(p_values) < TOLD_APART for p_values in tables]))
        told = float(np.mean([min(holm(p_values)) < TOLD_APART for p_values in tables]))
        noise = 2 * np.sqrt(0.05 * 0.95 / repetitions)
        table.append([name, str(HEADS), f"{alone:.3f}", f"{told:.3f}"])
        limits.append(Limit(name, f"{told:.3f}", "at most 0.05", told <= 0.05 + noise))
        figures[name] = {"alone": alone, "holm": told}
    rng, draw = np.random.default_rng(1), image_heads(2_000, worse=0.1)
    power = float(np.mean([holm(draw(rng))[-1] < TOLD_APART for _ in range(args.repetitions // 5)]))
    limits.append(
        Limit("a head worse by 0.1 is told apart, 2,000 images", f"{power:.3f}", "at least 0.8", power >= 0.8)
    )
    return report(args, table, limits, {**figures, "power": power})


if __name__ == "__main__":
    sys.exit(main())
