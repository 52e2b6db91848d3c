"""How fast is the ridge head over its penalties, and is it exact?

Peer:   scikit-learn's Ridge on indicators of the classes, fitted anew for every penalty on the same standardised
        features in float64 (solver: cholesky, of the Gram matrix).
Limit:  indicators of val within 1e-6 of those from the singular values of the whole matrix in float64 (not timed).

20,000 × 1,280 float16 features of 10 classes, drawn.
"""

import argparse
import sys

import numpy as np
import torch
from common import (
    CORES,
    TIMING_HEADER,
    Limit,
    Timing,
    benchmark_parser,
    median_wall,
    report,
    time_in_turn,
    timing_cells,
)
from numpy.typing import NDArray
from sklearn.linear_model import Ridge as ScikitRidge
from sklearn.preprocessing import StandardScaler
from synthetic import draw_rows

from unchoke.config.heads import Ridge
from unchoke.heads.kinds import ridge
from unchoke.heads.rows import Rows

CLASSES = 10
CPU = torch.device("cpu")


def fit_unchoke(rows: dict[str, Rows], penalties: list[float]) -> dict[str, torch.Tensor]:
    settings = Ridge(kind="ridge", choose_by="accuracy", penalty=penalties).model_dump()
    return ridge.fit(rows["train"], rows["val"], CLASSES, settings, CPU).replicates[0]


def standardized(rows: dict[str, Rows]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Features of train and val, and indicators of train, float64."""
    train, val = (rows[split].x_ND.double().numpy() for split in ("train", "val"))
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(val), np.eye(CLASSES)[rows["train"].y_N.numpy()]


def fit_scikit_learn(rows: dict[str, Rows], penalties: list[float]) -> None:
    x_ND, val_ND, indicator_NC = standardized(rows)
    for penalty in penalties:
        ScikitRidge(penalty).fit(x_ND, indicator_NC).predict(val_ND)


def largest_difference(rows: dict[str, Rows], penalties: list[float]) -> float:
    """Of our indicators on val from those by singular values, over the penalties."""
    x_ND, val_ND, indicator_NC = standardized(rows)
    mean_D, share_C = x_ND.mean(0), indicator_NC.mean(0)
    left_NK, values_K, right_KD = np.linalg.svd(x_ND - mean_D, full_matrices=False)
    rotated_KC, differences = left_NK.T @ (indicator_NC - share_C), []
    for penalty in penalties:
        weight_DC = right_KD.T @ ((values_K / (values_K**2 + penalty))[:, None] * rotated_KC)
        found_NC = ridge.indicators(fit_unchoke(rows, [penalty]), rows["val"].x_ND, CPU).numpy()
        differences.append(float(np.abs(found_NC - ((val_ND - mean_D) @ weight_DC + share_C)).max()))
    return max(differences)


def compare(args: argparse.Namespace) -> int:
    rows = draw_rows({"train": args.rows, "val": args.rows // 8}, args.width, CLASSES)
    penalties: list[float] = [1e-4, *Ridge(kind="ridge", choose_by="accuracy").penalty]
    kinds = {"unchoke": fit_unchoke, "scikit-learn": fit_scikit_learn}
    sides = {name: lambda kind=kind: kind(rows, penalties) for name, kind in kinds.items()}
    times: dict[str, list[Timing]] = time_in_turn(sides, args.rounds)
    ratio = median_wall(times["scikit-learn"]) / median_wall(times["unchoke"])
    difference = largest_difference(rows, [penalties[0], penalties[-1]])
    print(f"{len(penalties)} penalties; scikit-learn takes {ratio:.2f} × the time of unchoke")
    limits = [Limit("largest difference of an indicator", f"{difference:.1e}", "1e-6", difference <= 1e-6)]
    table = [["", *TIMING_HEADER], *([name, *timing_cells(times[name])] for name in times)]
    return report(args, table, limits, {"times": times, "ratio": ratio, "difference": difference})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="training rows")
    parser.add_argument("--width", type=int, default=1280, help="features")
    parser.add_argument("--rounds", type=int, default=3, help="times that each side is measured")
    torch.set_num_threads(CORES)
    return compare(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
