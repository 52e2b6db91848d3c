"""Draw another random split of the same images, for heads that are trained and tested on several."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.manifest.repeats import draw_repeat


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest, with its record beside it")
    parser.add_argument("--repeat", type=int, required=True, help="number of the split, from 1")
    parser.add_argument("--splits", type=Path, required=True, help="CSV to bring up to date, and .json beside it")
    args = parser.parse_args(argv)
    counts = draw_repeat(args.manifest, args.repeat, args.splits)["split"].value_counts()
    print(", ".join(f"{split or 'not in use'} {count}" for split, count in counts.items()))


if __name__ == "__main__":
    sys.exit(run(main))
