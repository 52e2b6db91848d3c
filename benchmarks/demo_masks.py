"""How much memory does the demo's segmentation take, from the canvases to the stitched masks?

Peer:   none; the limit is the 4 GB of the machines that Unchoke is for.
Limit:  at least 20 stitched masks, and at most 4,096 MB resident for all processes of the run together (Snakemake, the
        warm worker, clients, commands), sampled every 0.2 s.

Pages that processes share are counted for each of them, so that the figure errs on the side of too much.
"""

import os
import sys
import time
from pathlib import Path

import yaml
from clones import EVERYTHING, REPOSITORY, Clone, temporary_clone, temporary_folder
from common import Limit, benchmark_parser, report

NAME = "canvases"
EXAMPLE = REPOSITORY / "config/examples/canvases.yaml"
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_mb(marker: str) -> float:
    """Resident memory of every process that works in the folder `marker` names, MB of 2**20 bytes."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if str((folder / "cwd").readlink()).startswith(marker):
                total += int((folder / "statm").read_text().split()[1]) * PAGE
        except (OSError, IndexError):  # it has ended
            continue
    return total / 2**20


def run_demo(clone: Clone) -> tuple[float, float]:
    """Seconds of the whole run, and the peak, MB."""
    clone.configure(NAME, **yaml.safe_load(EXAMPLE.read_text()))
    started, peak = time.perf_counter(), 0.0
    process = clone.start(NAME, *EVERYTHING)
    while process.poll() is None:
        peak = max(peak, resident_mb(str(clone.folder.resolve())))
        time.sleep(0.2)
    if process.returncode:
        raise RuntimeError(clone.said(NAME))
    return time.perf_counter() - started, peak


def main() -> int:
    args = benchmark_parser(__doc__).parse_args()
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        seconds, peak = run_demo(clone)
        heads = [path for path in (clone.results(NAME) / "stitched").glob("*/*") if path.is_dir()]
        masks = [len(list(head.glob("*.png"))) for head in heads]
    table = [["", "s", "peak MB", "heads", "masks a head"]]
    table.append(["segmentation of the demo", f"{seconds:.0f}", f"{peak:.0f}", str(len(heads)), str(min(masks))])
    limits = [
        Limit("stitched masks a head", str(min(masks)), "at least 20", min(masks) >= 20),
        Limit("resident memory at its peak", f"{peak:.0f} MB", "at most 4096 MB", peak <= 4096),
    ]
    return report(args, table, limits, {"seconds": seconds, "peak_mb": peak, "masks": masks})


if __name__ == "__main__":
    sys.exit(main())
