"""Write the demo's canvases with digits on them, and their masks."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.sources.kinds.canvases import write_canvases


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--path", type=Path, required=True, help="folder to write them to")
    write_canvases(parser.parse_args(argv).path)


if __name__ == "__main__":
    sys.exit(run(main))
