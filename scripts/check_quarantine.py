"""Stop the run where too many images are in quarantine."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.manifest.quarantine import check_quarantine


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the images")
    parser.add_argument("--quarantine", type=Path, required=True, help="CSV of the images in quarantine")
    parser.add_argument("--max-bad-share", type=float, required=True, help="share that may be there, 0 to 1")
    parser.add_argument("--spare", nargs="*", default=[], help="reasons that do not count")
    parser.add_argument("--summary", type=Path, required=True, help="JSON file to write when they are few enough")
    args = parser.parse_args(argv)
    result = check_quarantine(args.manifest, args.quarantine, args.max_bad_share, args.summary, args.spare)
    print(f"{result['quarantined']} of {result['images']:,} images in quarantine ({result['share']:.2%})")


if __name__ == "__main__":
    sys.exit(run(main))
