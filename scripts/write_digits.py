"""Write scikit-learn's handwritten digits as PNG files, a folder a class, with a few flaws planted among them."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.sources.kinds.digits import write_digits


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--path", type=Path, required=True, help="folder to write to")
    write_digits(parser.parse_args(argv).path)


if __name__ == "__main__":
    sys.exit(run(main))
