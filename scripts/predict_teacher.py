"""Turn a teacher's logits for one chunk of patches into the probabilities of their pixels."""

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from unchoke.features.teacher import predict_teacher
from unchoke.machine.commands import argument_parser, run
from unchoke.stitching.stitch import write_predictions


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--store", type=Path, required=True, help="store of the teacher's outputs")
    parser.add_argument("--size", type=int, required=True, help="height and width of a patch, px")
    parser.add_argument("--chunk", type=int, required=True, help="number of the chunk")
    parser.add_argument("--probability", type=Path, required=True, help="file to write the probabilities to")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)  # the last bits of a softmax depend on it
    write_predictions(args.probability, predict_teacher(args.store, args.chunk, args.size), {})


if __name__ == "__main__":
    sys.exit(run(main))
