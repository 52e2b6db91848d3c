"""How fast is the logistic head along its path of C, and is it as good?

Peer:   scikit-learn's LogisticRegression, fitted anew for every C of the path on the same standardised features, with
        the same penalty, gradient at the stop and limit of iterations, in float64.
Limit:  test accuracy within 0.5 % of the peer's; both choose C on val.

Both run as they come, with a thread a core, and held to one thread, their best case where threads wait for one
another. The ratio quoted is between the faster of each. The features are those of the photographs, extracted first
by unchoke itself (not timed).
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import (
    CORES,
    TIMING_HEADER,
    Limit,
    Timing,
    benchmark_parser,
    encoder_flags,
    median_wall,
    report,
    skip_without,
    time_in_turn,
    timing_cells,
)
from photographs import extract_store, prepare
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from unchoke.config.heads import Logistic
from unchoke.heads.kinds import logistic
from unchoke.heads.rows import Rows, split_rows
from unchoke.store import tables
from unchoke.store.read import open_views

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Outcome:
    """A fitted path."""

    c: float
    """The C that was best on val, the smallest of equals."""
    val: float
    """Accuracy on val, 0 to 1."""
    test: float
    """Accuracy on test, 0 to 1."""
    iterations: int
    """Over the path."""
    tolerances: dict[float, float]
    """The largest entry of the gradient that ended the fit of each C."""


def fit_unchoke(rows: dict[str, Rows], n_classes: int, settings: dict[str, Any]) -> Outcome:
    fitted = logistic.fit(rows["train"], rows["val"], n_classes, settings, CPU)
    right = {}
    for split in ("val", "test"):
        logits_NC = logistic.predict(fitted.replicates[0], settings, rows[split].x_ND, CPU)
        right[split] = float((logits_NC.argmax(1) == rows[split].y_N).float().mean())
    history = fitted.history
    tolerances = {c: settings["tolerance"] * loss for c, loss in zip(history["c"], history["loss"], strict=True)}
    return Outcome(fitted.chosen["c"], right["val"], right["test"], sum(history["iterations"]), tolerances)


def fit_scikit_learn(
    rows: dict[str, Rows], n_classes: int, settings: dict[str, Any], tolerances: dict[float, float]
) -> Outcome:
    """One fit a C, the best on val kept; the scaler's time is in it, as the standardisation is in ours.

    It is in float64: in float32 it stops in the noise of rounding, where the gradient is up to 290 times the tolerance.

    tolerances: of each C, its `tol`.
    """
    x = {split: part.x_ND.double().numpy() for split, part in rows.items()}
    y = {split: part.y_N.numpy() for split, part in rows.items()}
    scaler = StandardScaler().fit(x["train"])
    x = {split: scaler.transform(values) for split, values in x.items()}
    best: tuple[float, float, LogisticRegression] | None = None
    iterations = 0
    for c in sorted(settings["c"]):
        model = LogisticRegression(C=c, tol=tolerances[c], max_iter=settings["max_iterations"])
        val = float(model.fit(x["train"], y["train"]).score(x["val"], y["val"]))
        iterations += int(model.n_iter_[0])
        if best is None or val > best[0]:
            best = val, c, model
    assert best is not None
    return Outcome(best[1], best[0], float(best[2].score(x["test"], y["test"])), iterations, tolerances)


def fit_side(
    name: str, rows: dict[str, Rows], n_classes: int, settings: dict[str, Any], before: dict[str, Outcome]
) -> Outcome:
    """The fit of the library that the name begins with; scikit-learn stops where unchoke, timed first, has stopped."""
    if name.startswith("unchoke"):
        return fit_unchoke(rows, n_classes, settings)
    return fit_scikit_learn(rows, n_classes, settings, next(iter(before.values())).tolerances)


def with_threads(threads: int, fit: Callable[[], Outcome]) -> Outcome:
    """`fit` with so many threads in torch, in the BLAS and in OpenMP."""
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        return fit()


def extracted_rows(args: argparse.Namespace, folder: Path) -> tuple[list[str], dict[str, Rows]]:
    """Features of the photographs by split, from a store in `folder`."""
    photographs = prepare(args.data, folder, args.model, args.image_size)
    extract_store(photographs, folder / "features.zarr")
    manifest = tables.read_table(photographs.manifest, tables.MANIFEST_COLUMNS)
    settings = Logistic(kind="logistic", choose_by="accuracy").model_dump()
    return split_rows(open_views([folder / "features.zarr"]), manifest, settings, CPU)


def compare(args: argparse.Namespace, folder: Path) -> int:
    classes, rows = extracted_rows(args, folder)
    settings = Logistic(kind="logistic", choose_by="accuracy").model_dump()
    outcomes: dict[str, Outcome] = {}

    def fit(name: str, threads: int) -> None:
        outcomes[name] = with_threads(threads, partial(fit_side, name, rows, len(classes), settings, outcomes))

    sides = {
        f"{name}, threads {threads}": partial(fit, f"{name}, threads {threads}", threads)
        for name in ("unchoke", "scikit-learn")
        for threads in sorted({1, CORES})
    }
    times = time_in_turn(sides, args.rounds)
    size = " × ".join(map(str, rows["train"].x_ND.shape))
    print(f"{len(settings['c'])} values of C on {size} features of {args.model}, median of {args.rounds}")
    return show(args, times, outcomes)


def show(args: argparse.Namespace, times: dict[str, list[Timing]], outcomes: dict[str, Outcome]) -> int:
    """The table, and the faster of each compared."""
    table = [["", *TIMING_HEADER, "iterations", "C", "val", "test"]]
    for name, found in outcomes.items():
        cells = [f"{found.iterations}", f"{found.c:g}", f"{found.val:.4f}", f"{found.test:.4f}"]
        table.append([name, *timing_cells(times[name]), *cells])
    ours, peer = (
        min((name for name in times if name.startswith(side)), key=lambda name: median_wall(times[name]))
        for side in ("unchoke", "scikit-learn")
    )
    ratio, gap = median_wall(times[peer]) / median_wall(times[ours]), outcomes[ours].test - outcomes[peer].test
    print(f"{ours} takes 1/{ratio:.2f} of the time of {peer}, the faster of each")
    limits = [Limit("test accuracy differs by", f"{gap:+.2%}", "0.5 %", abs(gap) <= 0.005)]
    figures = {"times": times, "test": {name: found.test for name, found in outcomes.items()}, "ratio": ratio}
    return report(args, table, limits, figures)


def main() -> int:
    parser = benchmark_parser(__doc__)
    encoder_flags(parser)
    parser.add_argument("--rounds", type=int, default=3, help="times that each side is measured")
    args = parser.parse_args()
    skip_without(args.data)
    with tempfile.TemporaryDirectory(prefix="unchoke-bench-") as folder:
        return compare(args, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
