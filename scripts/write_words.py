"""Write the demo's canvases with words on them, and where these lie."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.sources.kinds.words import write_words


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--path", type=Path, required=True, help="folder to write them to")
    write_words(parser.parse_args(argv).path)


if __name__ == "__main__":
    sys.exit(run(main))
