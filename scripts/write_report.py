"""Write the page of a run: one HTML file with verdict, leaderboard, mistakes, cleaning, heads, maps and provenance."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.page.files import add_page_flags, read_page_files
from unchoke.page.write import write_report


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_page_flags(parser)
    parser.add_argument("--page", type=Path, required=True, help="HTML file to write")
    parser.add_argument("--entry", type=Path, required=True, help="the same without figures and maps, to write too")
    args = parser.parse_args(argv)
    size = write_report(read_page_files(args), args.page, args.entry)
    print(f"{size / 1e6:.1f} MB: {args.page}")


if __name__ == "__main__":
    sys.exit(run(main))
