"""Draw one head for the report: settings tried, classes and groups, confusion, reliability, confident mistakes."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.cleaning.clean import read_belongings
from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.report.head import draw_head
from unchoke.report.results import read_head
from unchoke.report.style import png_bytes
from unchoke.store.tables import MANIFEST_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--group", type=Path, required=True, help="Zarr group of the head's results")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the images' paths")
    parser.add_argument("--selection", type=Path, help="CSV that says which images are copies of each other")
    parser.add_argument("--kind", default="folder", help="kind of source, dataset.kind in the config")
    parser.add_argument("--root", type=Path, required=True, help="folder that the manifest's paths are below")
    parser.add_argument("--max-pixels", type=int, required=True, help="pixels above which no picture is read")
    for name in ("settings", "parts", "confusion", "reliability", "mistakes"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="PNG to write")
    args = parser.parse_args(argv)
    head, manifest = read_head(args.group), read_table(args.manifest, MANIFEST_COLUMNS)
    belongings = read_belongings(args.manifest, args.selection)
    for name, figure in draw_head(head, manifest, belongings, args.root, args.max_pixels, args.kind).items():
        write_atomic(vars(args)[name], png_bytes(figure))
        print(f"{name}: {vars(args)[name]}")


if __name__ == "__main__":
    sys.exit(run(main))
