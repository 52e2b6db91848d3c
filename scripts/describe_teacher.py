"""Write of a teacher what the results of a mask head say, so that its masks are stitched and scored as those are."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.features.teacher import describe_teacher
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--store", type=Path, required=True, help="sealed store of what the teacher has said")
    parser.add_argument("--labels", type=Path, required=True, help="sealed store of labels")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the splits")
    parser.add_argument("--group", type=Path, required=True, help="Zarr group to write")
    parser.add_argument("--run", type=Path, required=True, help="JSON file for times and environment")
    args = parser.parse_args(argv)
    describe_teacher(args.store, args.labels, args.manifest, args.group, args.run)


if __name__ == "__main__":
    sys.exit(run(main))
