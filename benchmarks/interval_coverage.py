"""How often do 95 % intervals hold what they are of, where they are known to be hard?

Limits: 0.93 to 0.97 of the intervals hold the truth in every setting; of the exact ones, which cover at least 0.95 by
        intent, at least 0.93. The noise of the simulation itself is allowed for.

Simulation: labels and logits are drawn anew and `evaluate`, `compare` or `summarise` gives the interval, once for each
repetition. The truth is known by construction, or is the figure of a sample of some 10⁵ images.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from common import Limit, benchmark_parser, report
from numpy.typing import NDArray
from scipy.stats import norm

from unchoke.metrics.classification import SPOKEN
from unchoke.metrics.evaluation import compare, evaluate
from unchoke.metrics.influences import METRICS, scored
from unchoke.metrics.iou import summarise
from unchoke.metrics.operating_points import operating_point
from unchoke.metrics.parts import class_figures

HEADER = ["", "truth", "intervals that hold it", "mean width", "undefined"]
LEAST, MOST = 0.93, 0.97

Draw = Callable[[np.random.Generator], tuple[float, float]]


@dataclass(frozen=True)
class Setting:
    """One row of the table."""

    truth: float
    draw: Draw
    """Both ends of an interval."""
    exact: bool = False
    """Whether the method covers at least 95 % by intent."""


def figure(name: str, sample: Callable[[np.random.Generator], tuple[NDArray, ...]]) -> Draw:
    """The interval of one figure for a sample: labels, logits (N, C), and groups where there are some."""

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        label_N, logits_NC, *groups = sample(rng)
        found = evaluate(label_N, logits_NC[None], *groups)[name]
        return found.low, found.high

    return draw


def answers(label_N: NDArray, right_N: NDArray, classes: int, rng: np.random.Generator) -> NDArray:
    """Logits (N, C) of which the largest is that of the label where it is right, else of any other class."""
    shift_N = np.where(right_N, 0, rng.integers(1, classes, len(label_N)))
    return np.eye(classes)[(label_N + shift_N) % classes]


def shares(images: int, share: float) -> Callable[[np.random.Generator], tuple[NDArray, ...]]:
    def sample(rng: np.random.Generator) -> tuple[NDArray, ...]:
        label_N = np.arange(images) % 2
        return label_N, answers(label_N, rng.random(images) < share, 2, rng)

    return sample


def scores(positives: int, negatives: int, area: float) -> Callable[[np.random.Generator], tuple[NDArray, ...]]:
    def sample(rng: np.random.Generator) -> tuple[NDArray, ...]:
        label_N = np.r_[np.ones(positives, int), np.zeros(negatives, int)]
        score_N = rng.normal(size=len(label_N)) + np.sqrt(2) * norm.ppf(area) * label_N
        return label_N, np.stack([-score_N, score_N], 1)

    return sample


def drawn_scores(positives: int, negatives: int, area: float) -> Callable[[np.random.Generator], tuple[NDArray, ...]]:
    """The same where the classes are drawn with the images, so that their numbers vary."""

    def sample(rng: np.random.Generator) -> tuple[NDArray, ...]:
        drawn = rng.binomial(positives + negatives, positives / (positives + negatives))
        return scores(drawn, positives + negatives - drawn, area)(rng)

    return sample


def many_classes(accuracy_C: NDArray, images: int) -> Callable[[np.random.Generator], tuple[NDArray, ...]]:
    def sample(rng: np.random.Generator) -> tuple[NDArray, ...]:
        label_N = np.repeat(np.arange(len(accuracy_C)), images)
        return label_N, answers(label_N, rng.random(len(label_N)) < accuracy_C[label_N], len(accuracy_C), rng)

    return sample


def rare_class(images: int, recall: tuple[float, float]) -> Callable[[np.random.Generator], tuple[NDArray, ...]]:
    def sample(rng: np.random.Generator) -> tuple[NDArray, ...]:
        label_N = (rng.random(images) < 0.02).astype(int)
        label_N[:2] = 0, 1  # both are there
        return label_N, answers(label_N, rng.random(images) < np.array(recall)[label_N], 2, rng)

    return sample


def in_groups(groups: int, spread: float) -> Callable[[np.random.Generator], tuple[NDArray, ...]]:
    def sample(rng: np.random.Generator) -> tuple[NDArray, ...]:
        place_N = np.repeat(np.arange(groups), rng.integers(20, 60, groups))
        right_N = rng.random(len(place_N)) < 1 / (1 + np.exp(-rng.normal(1.2, spread, groups)))[place_N]
        label_N = np.arange(len(place_N)) % 2
        return label_N, answers(label_N, right_N, 2, rng), place_N.astype(str).astype(object)

    return sample


def masks(images: int) -> Draw:
    """The interval of mean IoU; images differ in size and in how well they are segmented."""

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        found = summarise(pixel_counts(images, rng)).figures["mean_iou"]
        return found.low, found.high

    return draw


def pixel_counts(images: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(I, 2, 2)."""
    size_I, share_I = rng.integers(5_000, 20_000, images), rng.beta(4, 8, images)
    hit_I, false_I = rng.beta(20, 4, images), rng.beta(2, 30, images)
    there_I = size_I * share_I
    cells = [(size_I - there_I) * (1 - false_I), (size_I - there_I) * false_I, there_I * (1 - hit_I), there_I * hit_I]
    return np.stack(cells, 1).reshape(images, 2, 2).astype(np.int64)


def equal_heads(shots: int, draws: int, images: int) -> Draw:
    """The interval of the difference of two heads whose draws are equally good; few shots make draws differ."""

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        hard_N, spread = rng.normal(0, 1, images), 0.6 / np.sqrt(shots)
        skill_2R = 0.8 + rng.normal(0, spread, (2, draws))
        noise_2RN = rng.normal(0, 0.5, (2, draws, images))
        logits_2RNC = np.stack([np.zeros_like(noise_2RN), skill_2R[..., None] - hard_N + noise_2RN], -1)
        one, two = (scored("accuracy", np.ones(images, int), logits, [1.0] * draws) for logits in logits_2RNC)
        found = compare(one, two)
        return found.low, found.high

    return draw


def equal_figures(metric: str, positives: int, negatives: int) -> Draw:
    """The interval of the difference in a figure of two heads whose scores are equally good and go together."""

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        label_N = np.r_[np.ones(positives, int), np.zeros(negatives, int)]
        common_N = rng.normal(size=len(label_N)) + 1.5 * label_N - 0.75
        score_2N = common_N + rng.normal(0, 0.7, (2, len(label_N)))
        one, two = (scored(metric, label_N, np.stack([-score_N, score_N], 1)[None], [1.0]) for score_N in score_2N)
        found = compare(one, two)
        return found.low, found.high

    return draw


def of_class(name: str, sample: Callable[[np.random.Generator], tuple[NDArray, ...]]) -> Draw:
    """The interval of a figure of the second class."""

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        label_N, logits_NC, *groups = sample(rng)
        found = getattr(class_figures(label_N, logits_NC.argmax(-1)[None], 2, *groups)[1], name)
        return found.low, found.high

    return draw


def draws_of_class(draws: int, images: int) -> Draw:
    """The interval of the recall of a class, where images are hard alike for all draws, and draws are good or bad."""

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        skill_R, hard_N = 0.8 + rng.normal(0, 0.3, draws), rng.normal(0, 1, images)
        predicted_RN = (skill_R[:, None] - hard_N + rng.normal(0, 0.5, (draws, images)) > 0).astype(int)
        found = class_figures(np.ones(images, int), predicted_RN, 2)[1].recall
        return found.low, found.high

    return draw


def sensitivity(units: int, images: int, area: float, together: float) -> Draw:
    """The interval of sensitivity at specificity 0.95, less its truth at the threshold that val happened to give.

    units: of test, half of them positive, with so many images each; together: share of the scores' variance that the
    images of a unit have in common.
    """
    distance = float(np.sqrt(2) * norm.ppf(area))

    def scored(number: int, size: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
        positive_N = np.repeat(np.arange(number) % 2 == 1, size)
        common_N = np.repeat(rng.normal(0, np.sqrt(together), number), size)
        return positive_N, (common_N + rng.normal(0, np.sqrt(1 - together), number * size) + distance * positive_N)[
            None
        ]

    def draw(rng: np.random.Generator) -> tuple[float, float]:
        groups = np.repeat(np.arange(units), images).astype(str).astype(object)
        found = operating_point(0.95, scored(200, 1, rng), scored(units, images, rng), groups)
        truth = float(norm.sf(found.thresholds[0] - distance))
        return found.sensitivity.low - truth, found.sensitivity.high - truth

    return draw


def large_precision(positives: int, negatives: int, area: float, rng: np.random.Generator) -> float:
    """Average precision of as many images as tell what it is without chance, in the same shares."""
    label_N, logits_NC = scores(positives * 500, negatives * 500, area)(rng)
    return scored("average_precision", label_N, logits_NC[None], [1.0]).value_R[0]


def settings() -> dict[str, Setting]:
    """The settings by their names in the table."""
    rng = np.random.default_rng(0)
    accuracy_C = rng.uniform(0.5, 0.95, 100)
    large = many_classes(accuracy_C, 2_000)(rng)
    f1 = evaluate(large[0][:200_000], large[1][None, :200_000])["macro_f1"].value
    grouped = {spread: float(np.mean(1 / (1 + np.exp(-rng.normal(1.2, spread, 10**6))))) for spread in (0.3, 0.8)}
    hit, taken, missed = 0.02 * 0.6, 0.98 * 0.03, 0.02 * 0.4  # shares of all images, of a rare class
    f1_of_rare = 2 * hit / (2 * hit + taken + missed)
    iou = summarise(pixel_counts(100_000, rng)).figures["mean_iou"].value
    return {
        "accuracy 0.99, 50 images": Setting(0.99, figure("accuracy", shares(50, 0.99)), exact=True),
        "accuracy 0.8, 200 images": Setting(0.8, figure("accuracy", shares(200, 0.8)), exact=True),
        "AUROC 0.8, 4 positives of 200": Setting(0.8, figure("auroc", scores(4, 196, 0.8))),
        "AUROC 0.95, 4 positives of 200": Setting(0.95, figure("auroc", scores(4, 196, 0.95))),
        "AUROC 0.8, 1 positive of 200": Setting(0.8, figure("auroc", scores(1, 199, 0.8))),
        "AUROC 0.95, 60 positives of 300": Setting(0.95, figure("auroc", scores(60, 240, 0.95))),
        "macro-F1, 100 classes of 3": Setting(f1, figure("macro_f1", many_classes(accuracy_C, 3))),
        "balanced accuracy, 98 to 2, 200 images": Setting(
            0.785, figure("balanced_accuracy", rare_class(200, (0.97, 0.6)))
        ),
        "accuracy, 3 groups alike": Setting(grouped[0.3], figure("accuracy", in_groups(3, 0.3))),
        "accuracy, 3 groups unlike": Setting(grouped[0.8], figure("accuracy", in_groups(3, 0.8))),
        "accuracy, 30 groups unlike": Setting(grouped[0.8], figure("accuracy", in_groups(30, 0.8))),
        "recall of a class, 40 images": Setting(0.8, of_class("recall", shares(80, 0.8))),
        "recall of a class, 30 groups unlike": Setting(grouped[0.8], of_class("recall", in_groups(30, 0.8))),
        "recall of a class, 5 draws": Setting(float(norm.cdf(0.8 / np.sqrt(1 + 0.25 + 0.09))), draws_of_class(5, 200)),
        "precision, 2 % of 2,000 images": Setting(
            hit / (hit + taken), of_class("precision", rare_class(2_000, (0.97, 0.6)))
        ),
        "F1, 2 % of 2,000 images": Setting(f1_of_rare, of_class("f1", rare_class(2_000, (0.97, 0.6)))),
        "F1, 2 % of 200 images": Setting(f1_of_rare, of_class("f1", rare_class(200, (0.97, 0.6)))),
        "sensitivity less its truth, 60 positives": Setting(0.0, sensitivity(120, 1, 0.9, 0.0)),
        "sensitivity less its truth, 20 positive groups": Setting(0.0, sensitivity(40, 10, 0.9, 0.5)),
        "mean IoU, 3 images": Setting(iou, masks(3)),
        "mean IoU, 20 images": Setting(iou, masks(20)),
        "two equal heads, 5 shots × 10 draws": Setting(0.0, equal_heads(5, 10, 2_000)),
        "two equal heads, 1 shot × 10 draws": Setting(0.0, equal_heads(1, 10, 2_000)),
        **{
            f"two equal heads, {SPOKEN[name]}, 20 positives of 200": Setting(0.0, equal_figures(name, 20, 180))
            for name in METRICS
        },
        "average precision, about 20 positives of 400": Setting(
            large_precision(20, 380, 0.9, rng), figure("average_precision", drawn_scores(20, 380, 0.9))
        ),
        "average precision, about 200 positives of 400": Setting(
            large_precision(200, 200, 0.8, rng), figure("average_precision", drawn_scores(200, 200, 0.8))
        ),
    }


def simulate(name: str, setting: Setting, repetitions: int) -> tuple[list[str], Limit, float]:
    """A row of the table, and whether it is as it should be."""
    rng = np.random.default_rng(1)
    ends = np.array([setting.draw(rng) for _ in range(repetitions)])
    known = ends[np.isfinite(ends).all(1)]
    held = float(((known[:, 0] <= setting.truth) & (setting.truth <= known[:, 1])).mean())
    width = float(np.ptp(known, 1).mean())
    row = [name, f"{setting.truth:.3f}", f"{held:.3f}", f"{width:.3f}", str(repetitions - len(known))]
    noise = 2 * np.sqrt(0.95 * 0.05 / repetitions)  # of the simulation itself
    most = 1.0 if setting.exact else MOST
    limit = Limit(name, f"{held:.3f}", f"{LEAST} to {most}", LEAST - noise <= held <= most + noise)
    return row, limit, held


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--repetitions", type=int, default=1000, help="intervals of each setting")
    args: argparse.Namespace = parser.parse_args()
    table, limits, figures = [HEADER], [], {}
    for name, setting in settings().items():
        row, limit, held = simulate(name, setting, args.repetitions)
        table.append(row)
        limits.append(limit)
        figures[name] = held
    return report(args, table, limits, figures)


if __name__ == "__main__":
    sys.exit(main())
