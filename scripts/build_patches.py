"""List the images that have masks, give each an id and a split, cut them into patches, and these into chunks."""

import sys
from collections.abc import Sequence

from unchoke.machine.commands import argument_parser, run
from unchoke.manifest.images import SplitSettings, add_listing_flags
from unchoke.manifest.patches import PatchSettings, build_patches


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_listing_flags(parser)
    parser.add_argument("--size", type=int, required=True, help="height and width of a patch, px")
    parser.add_argument("--overlap", type=int, required=True, help="overlap of neighbouring patches, px")
    parser.add_argument("--per-chunk", type=int, required=True, help="patches per chunk")
    args = parser.parse_args(argv)
    split = SplitSettings(args.seed, args.val, args.test)
    settings = PatchSettings(args.size, args.overlap, args.per_chunk)
    record = build_patches(args.kind, args.path, args.group, split, settings, args.manifest, args.vanished == "forget")
    for name, value in record.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    sys.exit(run(main))
