"""Draw cleaning for the report: findings by rule, balance of classes, measures, duplicates, and contact sheets."""

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.report.cleaning.figures import THUMBNAIL_PX, draw_cleaning, findings_page, read_cleaning
from unchoke.report.style import png_bytes
from unchoke.report.thumbnails import thumbnails
from unchoke.sources.source import add_source_flags


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--findings", type=Path, nargs="+", required=True, help="CSV tables of findings")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the images' paths")
    parser.add_argument("--selection", type=Path, required=True, help="CSV of the images left out, with reasons")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store of the fingerprints")
    parser.add_argument("--rules", type=json.loads, required=True, help="JSON: the rules of cleaning by name")
    parser.add_argument("--inspected", type=Path, help="JSON: summary of the rules about features, where there are any")
    add_source_flags(parser)
    parser.add_argument("--folder", type=Path, required=True, help="folder to write findings.html and the PNGs to")
    args = parser.parse_args(argv)
    results = read_cleaning(args.findings, args.manifest, args.selection, args.store, args.rules, args.inspected)
    pictures = partial(thumbnails, args.kind, args.root, side_px=THUMBNAIL_PX, max_pixels=args.max_pixels)
    for name, figure in draw_cleaning(results, pictures).items():
        write_atomic(args.folder / f"{name}.png", png_bytes(figure))
    write_atomic(args.folder / "findings.html", findings_page(results))
    print(f"{len(results.findings)} findings: {args.folder}")


if __name__ == "__main__":
    sys.exit(run(main))
