"""List the images, give each an id and a split, and cut them into chunks."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, or_none, run
from unchoke.manifest.images import SplitSettings, build_manifest


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--kind", required=True, help="kind of source, dataset.kind in the config")
    parser.add_argument("--path", type=Path, required=True, help="the source's folder or file")
    parser.add_argument("--group", type=or_none(str), help="what keeps together; see dataset.split.group")
    parser.add_argument(
        "--fields", type=json.loads, default={}, help="JSON: where images, labels and groups are, by split"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the splits")
    parser.add_argument("--val", type=float, required=True, help="share of val, 0 to 1")
    parser.add_argument("--test", type=float, required=True, help="share of test, 0 to 1")
    parser.add_argument("--chunk-size", type=int, required=True, help="images per chunk")
    parser.add_argument("--positive", help="of two classes: the positive one, to see that it is there")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV to bring up to date")
    parser.add_argument("--rows", type=Path, required=True, help="folder for the rows of each chunk")
    args = parser.parse_args(argv)
    split = SplitSettings(args.seed, args.val, args.test)
    source = (args.kind, args.path, args.group)
    record = build_manifest(*source, split, args.chunk_size, args.manifest, args.rows, args.fields, args.positive)
    for name, value in record.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    sys.exit(run(main))
