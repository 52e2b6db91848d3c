"""How well are the demo's words found from cached features of EfficientNet-Lite0, and in which time?

Maps of strides 4, 8 and 16, of 8 and 16, and of 16 alone: the finest one is what the head works at.

Peer:   none; words are drawn, so no figure is published.
Limit:  H-mean on test at least 0.90 with strides from 4 on, in at most 300 s, from the drawing of the canvases to the
        report, on two processors.
"""

import sys
from typing import Any

import yaml
from clones import EVERYTHING, REPOSITORY, Clone, temporary_clone, temporary_folder
from common import Limit, benchmark_parser, report
from process_tree import watch

from unchoke.store.run_record import read_scores

STRIDES = (4, 8, 16)
EXAMPLE = REPOSITORY / "config/examples/words.yaml"
LEAST_H_MEAN, MOST_S = 0.9, 300


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--finest", type=int, nargs="+", choices=STRIDES, default=STRIDES, help="strides to try")
    args = parser.parse_args()
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        found = {finest: _found(clone, finest) for finest in args.finest}
    table = [["strides from", "s", "peak MB", "H-mean on test", "95 % interval", "precision", "recall"]]
    table += [_row(finest, each) for finest, each in found.items()]
    first = found[min(found)]
    h_mean = first["test"]["h_mean"]["value"]
    limits = [
        Limit("H-mean on test", f"{h_mean:.3f}", f"at least {LEAST_H_MEAN}", h_mean >= LEAST_H_MEAN),
        Limit("time", f"{first['seconds']:.0f} s", f"at most {MOST_S} s", first["seconds"] <= MOST_S),
    ]
    return report(args, table, limits, {str(finest): each for finest, each in found.items()})


def _found(clone: Clone, finest: int) -> dict[str, Any]:
    """Seconds and memory of a whole run, and its figures on test."""
    name, sections = f"words{finest}", yaml.safe_load(EXAMPLE.read_text())
    sections["dataset"].pop("name")
    sections["encoders"]["lite0"]["strides"] = [stride for stride in STRIDES if stride >= finest]
    clone.configure(name, **sections)
    seconds, peak_mb, _ = watch(clone.start(name, *EVERYTHING), clone.folder)
    test = read_scores(clone.results(name) / "scores/lite0/db.json")["figures"]["test"]
    return {"seconds": seconds, "peak_mb": peak_mb, "test": test}


def _row(finest: int, found: dict[str, Any]) -> list[str]:
    test = found["test"]
    ends = " to ".join(f"{test['h_mean'][end]:.3f}" for end in ("low", "high"))
    figures = [f"{test[name]['value']:.3f}" for name in ("h_mean", "precision", "recall")]
    return [str(finest), f"{found['seconds']:.0f}", f"{found['peak_mb']:.0f}", figures[0], ends, *figures[1:]]


if __name__ == "__main__":
    sys.exit(main())
