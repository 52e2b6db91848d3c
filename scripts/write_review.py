"""Write the page to look at images and decide about them: one HTML file with a map of features and contact sheets."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.page.files import add_page_flags, read_page_files
from unchoke.page.review import write_review


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_page_flags(parser)
    parser.add_argument("--page", type=Path, required=True, help="HTML file to write")
    args = parser.parse_args(argv)
    size = write_review(read_page_files(args), args.page)
    print(f"{size / 1e6:.1f} MB: {args.page}")


if __name__ == "__main__":
    sys.exit(run(main))
