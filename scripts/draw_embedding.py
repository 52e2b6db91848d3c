"""Draw the map of an encoder's features for the report: val and test along their two principal components."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unchoke.cleaning.clean import add_selection_flags, selected
from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.names import CLASSIFICATION, IMAGE_TASKS
from unchoke.report.embedding import coloured_by, draw_embedding, project
from unchoke.report.results import read_sample
from unchoke.report.style import png_bytes
from unchoke.store.origin import read_origin, rounding_warnings


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--store", type=Path, required=True, help="sealed Zarr store of the encoder")
    parser.add_argument("--pool", required=True, help="pooling to draw")
    add_selection_flags(parser)
    parser.add_argument("--images", type=int, default=2000, help="images to draw, at most")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice among more images")
    parser.add_argument("--picture", type=Path, required=True, help="PNG to write")
    parser.add_argument("--task", choices=IMAGE_TASKS, default=CLASSIFICATION, help="what heads predict")
    args = parser.parse_args(argv)
    manifest = selected(args.manifest, args.selection)
    x_ND, rows = read_sample(args.store, args.pool, manifest, args.images, args.seed)
    place_N2, share_2 = project(x_ND)
    title, warnings = f"{args.store.stem} · {args.pool}", rounding_warnings(read_origin(args.store))
    colours = np.array(coloured_by(rows["label"].tolist(), args.task), object)
    figure = draw_embedding(place_N2, share_2, colours, title, warnings)
    write_atomic(args.picture, png_bytes(figure))
    print(f"{len(rows)} images, {share_2.sum():.1%} of the variance: {args.picture}")


if __name__ == "__main__":
    sys.exit(run(main))
