"""How fast is the logistic head along its path of C, and is it as good?

Peer:   scikit-learn's LogisticRegression, fitted anew for every C of the path on the same standardised features, with
        the same penalty, tolerance and limit of iterations. It runs twice: as it comes, and with the BLAS held to one
        thread, its best case where its threads stall one another. The ratio quoted is to the faster of the two.
Limit:  test accuracy within 0.5 % of the peer's; both choose C on val.

The features are those of the photographs, extracted first by unchoke itself (not timed).
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import Limit, benchmark_parser, encoder_flags, extract_store, prepare, report, skip_without
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from unchoke import tables
from unchoke.config.heads import Logistic
from unchoke.heads import Rows, logistic, split_rows
from unchoke.stores import open_complete

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


def fit_unchoke(rows: dict[str, Rows], n_classes: int, settings: dict[str, Any]) -> Outcome:
    fitted = logistic.fit(rows["train"], rows["val"], n_classes, settings, CPU)
    right = {}
    for split in ("val", "test"):
        logits_NC = logistic.predict(fitted.tensors, settings, rows[split].x_ND, CPU)
        right[split] = float((logits_NC.argmax(1) == rows[split].y_N).float().mean())
    return Outcome(fitted.chosen["c"], right["val"], right["test"])


def fit_scikit_learn(rows: dict[str, Rows], settings: dict[str, Any]) -> Outcome:
    """One fit a C, the best on val kept; the scaler's time is in it, as the standardisation is in ours."""
    x = {split: part.x_ND.numpy() for split, part in rows.items()}
    y = {split: part.y_N.numpy() for split, part in rows.items()}
    scaler = StandardScaler().fit(x["train"])
    x = {split: scaler.transform(values) for split, values in x.items()}
    best: tuple[float, float, LogisticRegression] | None = None
    for c in sorted(settings["c"]):
        model = LogisticRegression(C=c, tol=settings["tolerance"], max_iter=settings["max_iterations"])
        val = float(model.fit(x["train"], y["train"]).score(x["val"], y["val"]))
        if best is None or val > best[0]:
            best = val, c, model
    assert best is not None
    return Outcome(best[1], best[0], float(best[2].score(x["test"], y["test"])))


def fit_scikit_learn_alone(rows: dict[str, Rows], settings: dict[str, Any]) -> Outcome:
    with threadpool_limits(1):
        return fit_scikit_learn(rows, settings)


def extracted_rows(args: argparse.Namespace, folder: Path) -> tuple[list[str], dict[str, Rows]]:
    """Features of the photographs by split, from a store in `folder`."""
    photographs = prepare(args.data, folder, args.model, args.image_size)
    extract_store(photographs, folder / "features.zarr")
    manifest = tables.read_table(photographs.manifest, tables.MANIFEST_COLUMNS)
    return split_rows(open_complete(folder / "features.zarr"), manifest, "avg", CPU)


def compare(args: argparse.Namespace, folder: Path) -> int:
    classes, rows = extracted_rows(args, folder)
    settings = Logistic(kind="logistic").model_dump()
    sides = {
        "unchoke": lambda: fit_unchoke(rows, len(classes), settings),
        "scikit-learn": lambda: fit_scikit_learn(rows, settings),
        "scikit-learn, one thread": lambda: fit_scikit_learn_alone(rows, settings),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    outcomes = {}
    for _ in range(args.rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            outcomes[name] = side()
            seconds[name].append(time.perf_counter() - started)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    return show(args, median, outcomes, rows["train"].x_ND, len(settings["c"]))


def show(
    args: argparse.Namespace, median: dict[str, float], outcomes: dict[str, Outcome], x_ND: torch.Tensor, n_c: int
) -> int:
    quoted = min((name for name in median if name != "unchoke"), key=lambda name: median[name])
    table = [["", "seconds", "ratio", "C", "val", "test"]]
    for name, outcome in outcomes.items():
        ratio = median[name] / median["unchoke"]
        accuracies = [f"{outcome.val:.4f}", f"{outcome.test:.4f}"]
        table.append([name, f"{median[name]:.2f}", f"{ratio:.2f}", f"{outcome.c:g}", *accuracies])
    gap = outcomes["unchoke"].test - outcomes[quoted].test
    print(f"{n_c} values of C on {x_ND.shape[0]} × {x_ND.shape[1]} features of {args.model}, median of {args.rounds}")
    print(f"quoted: {median[quoted] / median['unchoke']:.2f} times as fast as {quoted}, the faster of the two")
    limits = [Limit("test accuracy differs", f"{gap:+.2%}", "0.5 %", abs(gap) <= 0.005)]
    figures = {"seconds": median, "test": {name: outcome.test for name, outcome in outcomes.items()}, "quoted": quoted}
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
