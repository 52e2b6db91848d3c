"""Write a teacher's results in the form of a mask head's, so that its masks are stitched and scored in the same way."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.features.teacher import describe_teacher
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--store", type=Path, required=True, help="sealed store of the teacher's outputs")
    parser.add_argument("--labels", type=Path, required=True, help="sealed store of labels")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the splits")
    parser.add_argument("--group", type=Path, required=True, help="Zarr group to write")
    parser.add_argument("--run", type=Path, required=True, help="JSON file for times and environment")
    args = parser.parse_args(argv)
    describe_teacher(args.store, args.labels, args.manifest, args.group, args.run)


if __name__ == "__main__":
    sys.exit(run(main))
