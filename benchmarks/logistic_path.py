"""How fast is the logistic head over the 45 values of C of DINOv2's protocol?

Peer:   scikit-learn's LogisticRegression, fitted anew for each of the 45 on the same standardised features, with the
        same penalty, gradient at the stop (1e-5 × the loss) and limit of iterations (5,000); with a thread a core and
        with one, the better counts. It is in float64: in float32 it stops up to 290 times above that gradient.
Limit:  at least 5 × faster, by the clock and in the processor's time; test accuracy within 0.2 % of the peer's, both
        with the C that was best on val.

20,000 × 1,280 float16 features of 10 classes, drawn.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial

import torch
from common import (
    CORES,
    TIMING_HEADER,
    Limit,
    Timing,
    benchmark_parser,
    median_processor,
    median_wall,
    report,
    time_in_turn,
    timing_cells,
)
from logistic_speed import Outcome, fit_side, with_threads
from synthetic import draw_rows

from unchoke.config.heads import Logistic
from unchoke.config.presets import dinov2_logistic

CLASSES = 10


def compare(args: argparse.Namespace) -> int:
    rows = draw_rows({"train": args.rows, "val": args.rows // 4, "test": args.rows // 2}, args.width, CLASSES)
    settings = Logistic(kind="logistic", choose_by="accuracy", c=dinov2_logistic()["c"]).model_dump()
    outcomes: dict[str, Outcome] = {}

    def fit(name: str, threads: int) -> None:
        outcomes[name] = with_threads(threads, partial(fit_side, name, rows, CLASSES, settings, outcomes))

    sides = {"unchoke": CORES} | {f"scikit-learn, threads {threads}": threads for threads in args.threads}
    times = time_in_turn({name: partial(fit, name, threads) for name, threads in sides.items()}, args.rounds)
    table = [["", *TIMING_HEADER, "iterations", "C", "val", "test"]]
    for name, found in outcomes.items():
        cells = [f"{found.iterations}", f"{found.c:.3g}", f"{found.val:.4f}", f"{found.test:.4f}"]
        table.append([name, *timing_cells(times[name]), *cells])
    gap = max((found.test - outcomes["unchoke"].test for found in outcomes.values()), key=abs)
    ratios = {clock: least_ratio(times, of) for clock, of in (("wall", median_wall), ("processor", median_processor))}
    limits = [
        Limit(f"scikit-learn over unchoke, {clock}", f"{ratio:.1f} ×", "5 ×", ratio >= 5)
        for clock, ratio in ratios.items()
    ]
    limits.append(Limit("test accuracy differs by", f"{gap:+.2%}", "0.2 %", abs(gap) <= 0.002))
    return report(args, table, limits, {"times": times, "ratios": ratios, "gap": gap})


def least_ratio(times: dict[str, list[Timing]], of: Callable[[Sequence[Timing]], float]) -> float:
    """The best peer's figure over ours."""
    return min(of(times[name]) for name in times if name != "unchoke") / of(times["unchoke"])


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="training rows")
    parser.add_argument("--width", type=int, default=1280, help="features")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, CORES}), help="threads of the peer")
    parser.add_argument("--rounds", type=int, default=1, help="times that each side is measured")
    torch.set_num_threads(CORES)
    return compare(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
