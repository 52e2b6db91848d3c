"""List the images, give each an id and a split, and cut them into chunks."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.manifest.images import SplitSettings, add_listing_flags, build_manifest
from unchoke.names import CLASSIFICATION, IMAGE_TASKS


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_listing_flags(parser)
    parser.add_argument("--fields", type=json.loads, default={}, help="JSON: places of images, labels and groups")
    parser.add_argument("--chunk-size", type=int, required=True, help="images per chunk")
    parser.add_argument("--positive", help="of two classes: the positive one, to see that it is there")
    parser.add_argument("--task", choices=IMAGE_TASKS, default=CLASSIFICATION, help="what heads predict")
    parser.add_argument("--labels", choices=("needed", "optional"), default="needed", help="optional without heads")
    parser.add_argument("--rows", type=Path, required=True, help="folder for the rows of each chunk")
    args = parser.parse_args(argv)
    split = SplitSettings(args.seed, args.val, args.test)
    source = (args.kind, args.path, args.group)
    place, forget = (args.chunk_size, args.manifest, args.rows), args.vanished == "forget"
    needed = args.labels == "needed"
    record = build_manifest(*source, split, *place, args.fields, args.positive, forget, args.task, needs_labels=needed)
    for name, value in record.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    sys.exit(run(main))
