"""Run a teacher on the patches of one chunk, and store its logits, and its features if asked to."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.encoders.teacher import MICRO_BATCH, keep_teacher
from unchoke.features.chunk import Extraction
from unchoke.features.teacher import run_teacher
from unchoke.machine.commands import argument_parser, run, true_or_false
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.manifest.patches import add_patch_flags


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_patch_flags(parser)
    parser.add_argument("--file", type=Path, required=True, help="Python file of the teacher")
    parser.add_argument("--checkpoint", type=Path, required=True, help="its checkpoint")
    parser.add_argument("--features", type=true_or_false, required=True, help="store its features too")
    parser.add_argument("--classes", type=int, required=True, help="how many classes its logits have")
    parser.add_argument("--size", type=int, required=True, help="height and width of a patch, px")
    parser.add_argument("--store", type=Path, required=True, help="Zarr store to put the chunk into")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    about = (args.file, args.checkpoint, args.size, args.classes, args.features)
    teacher = keep_teacher(*about, device_of(args))
    settings = Extraction(args.per_chunk, MICRO_BATCH, args.max_pixels)
    run_teacher(args.store, args.chunk, args.rows, args.root, teacher, settings, args.threads)


if __name__ == "__main__":
    sys.exit(run(main))
