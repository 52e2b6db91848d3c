"""How much memory does the demo's segmentation take, from the canvases to the stitched masks?

Peer:   none; the limit is the 4 GB of the machines that Unchoke is for.
Limit:  at least 20 stitched masks, and at most 4,096 MB resident for all processes of the run together (Snakemake, the
        warm worker, clients, commands), sampled every 0.05 s.

Pages that processes share are counted for each of them, so that the figure errs on the side of too much.
"""

import sys

import yaml
from clones import EVERYTHING, REPOSITORY, temporary_clone, temporary_folder
from common import Limit, benchmark_parser, report
from process_tree import watch

NAME = "canvases"
EXAMPLE = REPOSITORY / "config/examples/canvases.yaml"


def main() -> int:
    args = benchmark_parser(__doc__).parse_args()
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        clone.configure(NAME, **yaml.safe_load(EXAMPLE.read_text()))
        seconds, peak, _ = watch(clone.start(NAME, *EVERYTHING), clone.folder)
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
