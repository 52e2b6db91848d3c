"""List the images that have masks, give each an id and a split, cut them into patches, and these into chunks."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, or_none, run
from unchoke.manifest.images import SplitSettings
from unchoke.manifest.patches import PatchSettings, build_patches


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--kind", required=True, help="kind of source: masks, canvases")
    parser.add_argument("--path", type=Path, required=True, help="the source's folder or file")
    parser.add_argument("--group", type=or_none(str), help="what keeps together; see dataset.split.group")
    parser.add_argument("--seed", type=int, default=0, help="seed of the splits")
    parser.add_argument("--val", type=float, required=True, help="share of val, 0 to 1")
    parser.add_argument("--test", type=float, required=True, help="share of test, 0 to 1")
    parser.add_argument("--size", type=int, required=True, help="height and width of a patch, px")
    parser.add_argument("--overlap", type=int, required=True, help="what neighbours share, px")
    parser.add_argument("--per-chunk", type=int, required=True, help="patches per chunk")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV to bring up to date; the others lie beside")
    args = parser.parse_args(argv)
    split = SplitSettings(args.seed, args.val, args.test)
    settings = PatchSettings(args.size, args.overlap, args.per_chunk)
    record = build_patches(args.kind, args.path, args.group, split, settings, args.manifest)
    for name, value in record.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    sys.exit(run(main))
