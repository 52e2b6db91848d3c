"""List the images that heads leave out, because of a rule of cleaning, a decision or the subset."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.cleaning.clean import select_rows
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with labels and splits")
    parser.add_argument("--store", type=Path, help="sealed Zarr store of the fingerprints, where images are cleaned")
    parser.add_argument("--rules", type=json.loads, default={}, help="cleaning.rules of the config, as JSON")
    parser.add_argument("--inspected", type=Path, help="CSV of the findings in features, where these drop images")
    parser.add_argument("--decided", type=Path, help="JSON of the user's decisions, where there are any")
    parser.add_argument("--subset", type=json.loads, help="subset of the config, as JSON; null: none")
    parser.add_argument("--selection", type=Path, required=True, help="CSV to bring up to date")
    args = parser.parse_args(argv)
    rules, paths = args.rules, (args.selection, args.decided)
    selection = select_rows(args.manifest, args.store, rules, args.inspected, args.subset, *paths)
    for reason, count in selection["left_out"].value_counts().sort_index().items():
        print(f"{reason or 'in use, or excluded in the manifest'}: {count}")


if __name__ == "__main__":
    sys.exit(run(main))
