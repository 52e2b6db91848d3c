"""Check that every chunk of a feature store is there and whole, then seal the store, so that it can be opened."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.store.origin import rounding_warnings, write_origin
from unchoke.store.seal import seal_store


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to seal")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of its images or patches")
    parser.add_argument("--rows", type=Path, required=True, help="folder with the rows of each chunk")
    args = parser.parse_args(argv)
    seal = seal_store(args.store, args.manifest, args.rows)
    origin = write_origin(args.store, seal)
    for warning in rounding_warnings(origin):
        print(f"warning: {args.store}: {warning}")
    print(f"{args.store}: {seal['images']:,} rows, {len(seal['invalid'])} unreadable, pools {seal['widths']}")


if __name__ == "__main__":
    sys.exit(run(main))
