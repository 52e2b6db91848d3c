"""Draw one mask head for the report: learning curves, masks of test images, and confusion of pixels."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, or_none, run
from unchoke.report.mask_head import draw_mask_head
from unchoke.report.mask_pictures import MaskFiles
from unchoke.report.results import read_mask_head
from unchoke.report.style import png_bytes
from unchoke.store.tables import MANIFEST_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--group", type=Path, required=True, help="Zarr group of the head's results")
    parser.add_argument("--scores", type=Path, required=True, help="JSON with the scores of its masks")
    parser.add_argument("--run", type=Path, required=True, help="JSON with the seconds of its training")
    parser.add_argument("--stitched", type=Path, required=True, help="folder of its masks")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the images' paths")
    parser.add_argument("--grids", type=Path, required=True, help="JSON with the images' sizes and patches")
    parser.add_argument("--mask-rows", type=Path, required=True, help="folder of tables with the patches' masks")
    parser.add_argument("--root", type=Path, required=True, help="folder that all paths are below")
    parser.add_argument("--classes", type=json.loads, required=True, help="JSON: the mask values of each class")
    parser.add_argument("--ignore", type=or_none(int), help="value of pixels that do not count")
    parser.add_argument("--max-pixels", type=int, required=True, help="largest picture to decode whole")
    for name in ("curves", "overlays", "confusion"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="PNG to write")
    args = parser.parse_args(argv)
    paths = read_table(args.manifest, MANIFEST_COLUMNS).set_index("image_id")["path"].to_dict()
    places = {name: vars(args)[name] for name in ("root", "grids", "mask_rows", "stitched", "classes", "ignore")}
    files = MaskFiles(paths=paths, max_pixels=args.max_pixels, **places)
    for name, figure in draw_mask_head(read_mask_head(args.group, args.scores, args.run), files).items():
        write_atomic(vars(args)[name], png_bytes(figure))
        print(f"{name}: {vars(args)[name]}")


if __name__ == "__main__":
    sys.exit(run(main))
