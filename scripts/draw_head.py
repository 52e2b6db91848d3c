"""Draw the figures of one head for the report; the task chooses which.

classification: settings tried, classes and groups, confusion, reliability, confident mistakes.
regression: settings tried, predicted against true numbers, largest errors.
multilabel: settings tried, labels with and without thresholds, mistakes.
segmentation: learning curves, masks of test images, confusion of pixels.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.report.head import draw_head
from unchoke.report.head_files import add_head_flags, read_head_files
from unchoke.report.style import png_bytes


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="folder to write the PNGs to")
    add_head_flags(parser)
    args = parser.parse_args(argv)
    for name, figure in draw_head(args.task, *read_head_files(args)).items():
        write_atomic(args.folder / f"{name}.png", png_bytes(figure))
        print(f"{name}: {args.folder / name}.png")


if __name__ == "__main__":
    sys.exit(run(main))
