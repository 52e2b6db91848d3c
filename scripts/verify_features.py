"""Compare every chunk of sealed feature stores with the digests in their seals, and say what made them."""

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from unchoke.commands import argument_parser, run
from unchoke.origins import origin_text, read_origin
from unchoke.seal import verify_features


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="sealed Zarr stores")
    args = parser.parse_args(argv)
    for store, n_files in verify_features(args.stores).items():
        print(f"{store}: all {n_files:,} chunk files are as they were sealed")
        print(textwrap.indent(origin_text(read_origin(store)), "  "))


if __name__ == "__main__":
    sys.exit(run(main))
