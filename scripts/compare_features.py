"""Compare two sealed feature stores, such as those of two machines; the status is 1 where they differ too much."""

import sys
from collections.abc import Sequence

import unchoke
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--stores", nargs=2, required=True, help="sealed Zarr stores: folders, or URLs such as s3://…")
    parser.add_argument("--tolerance", type=float, default=0.0, help="relative difference of a row that may be")
    args = parser.parse_args(argv)
    comparison = unchoke.compare(*args.stores, tolerance=args.tolerance)
    print(comparison)
    if not comparison.within_tolerance:
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(run(main))
