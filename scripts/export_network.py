"""Write a trained network for other programs: safetensors that timm loads, a JSON card beside it, and ONNX if asked."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.api.predict import find_weights
from unchoke.machine.commands import argument_parser, run
from unchoke.names import WEIGHTS
from unchoke.networks.checkpoint import read_network
from unchoke.networks.export import TOLERANCE, export_network, write_onnx


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file of the network")
    parser.add_argument("--weights", type=Path, help=f"file of the encoder; none: looked for in {WEIGHTS}")
    parser.add_argument("--replicate", type=int, default=0, help="which of the seeds, by its place among them")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--onnx", type=Path, help="ONNX file to write too")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help="difference of logits, of the largest")
    args = parser.parse_args(argv)
    network = read_network(args.checkpoint)
    weights = find_weights(network, args.weights) if network.needs_weights else None
    whole = export_network(network, weights, args.replicate, args.output, args.tolerance)
    if args.onnx:
        write_onnx(whole, args.onnx, args.tolerance)


if __name__ == "__main__":
    sys.exit(run(main))
