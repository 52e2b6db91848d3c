"""List the images that no head may use, each with its reason."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.manifest.moves import VANISHED
from unchoke.manifest.quarantine import list_quarantine
from unchoke.store.tables import MANIFEST_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the images")
    parser.add_argument("--seals", type=Path, nargs="*", required=True, help="seals of stores")
    parser.add_argument("--quarantine", type=Path, required=True, help="CSV to write")
    args = parser.parse_args(argv)
    listed = list_quarantine(args.manifest, args.seals, args.quarantine)
    vanished = int((read_table(args.manifest, MANIFEST_COLUMNS)["excluded"] == VANISHED).sum())
    apart = f"; apart from them, {vanished:,} vanished" if vanished else ""
    print(f"{len(listed):,} images in quarantine: {args.quarantine}{apart}")


if __name__ == "__main__":
    sys.exit(run(main))
