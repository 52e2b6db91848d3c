"""How often does the interval over random splits hold the expected accuracy of a head trained on as many images?

Limits: the corrected interval of Nadeau and Bengio holds it in at least 0.95 of the datasets, less the simulation's
        noise. That of Student's t, which takes splits for independent, stands beside it; it has no limit.

Simulation: two classes of images with Gaussian features, of which one direction tells them apart. Every dataset is
split R times by `draw_splits` (0.7 train, 0.15 val, 0.15 test), ridge in closed form is fitted on train and read on
test. The truth is the mean of its exact accuracies over all datasets. Two equal encoders: their features are drawn
alike and apart, so that the truth of the difference of their heads is 0.
"""

import sys
from dataclasses import dataclass

import numpy as np
from common import Limit, benchmark_parser, report
from numpy.typing import NDArray
from scipy.stats import norm

from unchoke.manifest.repeats import repeat_seed
from unchoke.manifest.splits import draw_splits
from unchoke.metrics.repeats import over_splits

HEADER = ["", "truth", "sd over splits", "corrected", "width", "Student's t", "width"]
SHARES = {"val": 0.15, "test": 0.15}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """A kind of dataset, and what is done with it."""

    images: int
    splits: int
    width: int = 20
    distance: float = 2.0
    """Of the two classes, in deviations of a feature."""
    group: int = 1
    """Images of a group, which share half of their variance."""
    shots: int | None = None
    """Images of each class to train on; None: all of train."""
    encoders: int = 1
    """2: the difference of the heads of two equal ones."""


SETTINGS = {
    "100 images, 5 splits": Setting(100, 5),
    "300 images, 5 splits": Setting(300, 5),
    "300 images, 10 splits": Setting(300, 10),
    "300 images of 200 features, 10 splits": Setting(300, 10, width=200),
    "1,000 images, accuracy 0.97, 10 splits": Setting(1_000, 10, distance=3.8),
    "60 groups of 10 images, 10 splits": Setting(600, 10, group=10),
    "5 shots, 300 images, 10 splits": Setting(300, 10, shots=5),
    "two equal encoders, 300 images, 5 splits": Setting(300, 5, encoders=2),
    "two equal encoders, 300 images, 10 splits": Setting(300, 10, encoders=2),
}


def dataset(setting: Setting, rng: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    """Labels -1 and 1 (N,), and features (E, N, D) of each encoder; the first feature alone tells the classes apart."""
    label_N = np.where(np.arange(setting.images) // setting.group % 2, 1, -1)
    shape = (setting.encoders, setting.images, setting.width)
    x_END = rng.normal(size=shape)
    if setting.group > 1:
        groups = rng.normal(size=(setting.encoders, setting.images // setting.group, setting.width))
        x_END = (x_END + np.repeat(groups, setting.group, 1)) / np.sqrt(2)
    x_END[:, :, 0] += label_N * setting.distance / 2
    return label_N, x_END


def ridge(x_ND: Floats, label_N: NDArray[np.int64], penalty: float = 1.0) -> Floats:
    """Weights (D + 1,), that of the constant last and not penalised."""
    ones_ND = np.c_[x_ND, np.ones(len(x_ND))]
    damping = penalty * np.diag(np.r_[np.ones(x_ND.shape[1]), 0.0])
    return np.linalg.solve(ones_ND.T @ ones_ND + damping, ones_ND.T @ label_N)


def exact(weight_D: Floats, distance: float) -> float:
    """Accuracy of the weights on all images that there may be."""
    length = np.linalg.norm(weight_D[:-1])
    reach = weight_D[0] * distance / 2
    return float(np.mean(norm.cdf((reach + np.array([1, -1]) * weight_D[-1]) / length)))


def trained(setting: Setting, seed: int) -> tuple[Floats, Floats, float]:
    """Accuracy on test and exact accuracy of every encoder on every split of one dataset (E, R); n_test / n_train."""
    rng = np.random.default_rng([1, seed])
    label_N, x_END = dataset(setting, rng)
    names = label_N.astype(str).tolist()
    groups = [str(place // setting.group) if setting.group > 1 else "" for place in range(setting.images)]
    (found_ER, exact_ER), ratios = np.zeros((2, setting.encoders, setting.splits)), []
    for repeat in range(setting.splits):
        split_N = np.array(draw_splits(names, groups, [""] * len(names), SHARES, repeat_seed(seed, repeat)))
        train, test = np.flatnonzero(split_N == "train"), np.flatnonzero(split_N == "test")
        ratios.append(len(test) / len(train))
        if setting.shots:
            of_class = [rng.permutation(train[label_N[train] == label])[: setting.shots] for label in (-1, 1)]
            train = np.concatenate(of_class)
        for encoder, x_ND in enumerate(x_END):
            weight_D = ridge(x_ND[train], label_N[train])
            right_N = np.sign(x_ND[test] @ weight_D[:-1] + weight_D[-1]) == label_N[test]
            found_ER[encoder, repeat], exact_ER[encoder, repeat] = right_N.mean(), exact(weight_D, setting.distance)
    return found_ER, exact_ER, float(np.mean(ratios))


def simulate(setting: Setting, repetitions: int) -> dict[str, float]:
    """Shares of the intervals that hold the truth, and their widths."""
    of_datasets = [trained(setting, seed) for seed in range(repetitions)]
    two = setting.encoders == 2
    truth = 0.0 if two else float(np.mean([exact_ER for _, exact_ER, _ in of_datasets]))
    figures: dict[str, float] = {"truth": truth, "sd": 0.0}
    for name in ("corrected", "student"):
        held, widths = [], []
        for found_ER, _, ratio in of_datasets:
            value_R = found_ER[0] - found_ER[1] if two else found_ER[0]
            found = over_splits(value_R, ratio if name == "corrected" else 0.0, -1.0, 1.0)
            low, high = found.interval
            held.append(low <= truth <= high)  # one that is not known does not hold it
            widths.append(high - low)
            figures["sd"] += found.sd / len(of_datasets) / 2
        figures |= {name: float(np.mean(held)), f"{name}_width": float(np.nanmean(widths))}
    return figures


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--repetitions", type=int, default=400, help="datasets of each setting")
    args = parser.parse_args()
    table, limits, figures = [HEADER], [], {}
    noise = 2 * np.sqrt(0.05 * 0.95 / args.repetitions)
    for name, setting in SETTINGS.items():
        found = figures[name] = simulate(setting, args.repetitions)
        names = ("truth", "sd", "corrected", "corrected_width", "student", "student_width")
        table.append([name, *(f"{found[column]:.3f}" for column in names)])
        limits.append(Limit(name, f"{found['corrected']:.3f}", "at least 0.95", found["corrected"] >= 0.95 - noise))
    return report(args, table, limits, figures)


if __name__ == "__main__":
    sys.exit(main())
