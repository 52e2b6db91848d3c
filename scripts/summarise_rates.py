"""Sum up the time of each stage of extraction, and name the bottleneck."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.features.timings import summarise_rates
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="sealed Zarr stores")
    parser.add_argument("--table", type=Path, required=True, help="CSV to write")
    args = parser.parse_args(argv)
    for encoder, stage, seconds, rate, share, slowest, *_ in summarise_rates(args.stores, args.table):
        mark = "  <- bottleneck" if slowest else ""
        print(f"{encoder}: {stage:6} {seconds:9.1f} s {rate:10,.0f} images/s {share:6.1%}{mark}")


if __name__ == "__main__":
    sys.exit(run(main))
