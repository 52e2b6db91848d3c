"""Do three ablations fit into ten minutes at the size of PatchCamelyon?

Peer:   none; the limit is the time.
Limit:  10 minutes for all three with the intervals of their test figures, on the cores of this machine.

262,144 × 1,280 float16 features of 2 classes for train, 32,768 each for val and test, drawn: linear by AdamW (5
learning rates × 3 seeds, 20 epochs), logistic along 7 values of C, ridge with 8 penalties.
"""

import argparse
import resource
import sys
import time

import numpy as np
import torch
from common import CORES, Limit, benchmark_parser, report
from synthetic import draw_rows

from unchoke.config.heads import Linear, Logistic, Ridge
from unchoke.heads.rows import Rows
from unchoke.heads.train import kind_of, predict
from unchoke.metrics.evaluation import evaluate

CLASSES = 2
CPU = torch.device("cpu")
HEADS = (
    Linear(kind="linear", choose_by="accuracy"),
    Logistic(kind="logistic", choose_by="accuracy"),
    Ridge(kind="ridge", choose_by="accuracy"),
)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def train(rows: dict[str, Rows], settings: dict[str, object]) -> list[str]:
    """Cells of one ablation: seconds, test accuracy with its interval, what was chosen, peak so far."""
    started = time.perf_counter()
    fitted = kind_of(settings).fit(rows["train"], rows["val"], CLASSES, settings, CPU)
    figure = evaluate(rows["test"].y_N.numpy(), predict(fitted.replicates, settings, rows["test"], CPU))["accuracy"]
    seconds = time.perf_counter() - started
    chosen = ", ".join(f"{name} {value:g}" for name, value in fitted.chosen.items())
    interval = f"{figure.value:.4f} ({figure.low:.4f} to {figure.high:.4f})"
    return [f"{seconds:.1f}", interval, chosen, f"{peak_mb():.0f}"]


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rows", type=int, default=262_144, help="training rows; val and test have an eighth each")
    parser.add_argument("--width", type=int, default=1280, help="features")
    return compare(parser.parse_args())


def compare(args: argparse.Namespace) -> int:
    torch.set_num_threads(CORES)
    rows = draw_rows({"train": args.rows, "val": args.rows // 8, "test": args.rows // 8}, args.width, CLASSES)
    features_mb = sum(part.x_ND.nbytes for part in rows.values()) / 2**20
    print(f"features {features_mb:.0f} MB, {peak_mb():.0f} MB taken before the first head")
    lines = {head.kind: train(rows, head.model_dump()) for head in HEADS}
    table = [["", "s", "test accuracy", "chosen", "peak MB"], *([kind, *cells] for kind, cells in lines.items())]
    seconds = float(np.sum([float(cells[0]) for cells in lines.values()]))
    limits = [Limit("three ablations", f"{seconds:.0f} s", "600 s", seconds <= 600)]
    return report(args, table, limits, {"seconds": seconds, "peak_mb": peak_mb(), "features_mb": features_mb})


if __name__ == "__main__":
    sys.exit(main())
