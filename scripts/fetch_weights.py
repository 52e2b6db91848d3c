"""Put an encoder's weights into a safetensors file: from the hub, a package or a file, or untrained from a seed."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.encoders.weights import fetch_weights
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--model", required=True, help="a model of timm")
    parser.add_argument("--weights", required=True, help="pretrained, packaged, untrained, or the path of a file")
    parser.add_argument("--seed", type=int, required=True, help="seed of untrained weights")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--card", type=Path, required=True, help="JSON file that describes the weights")
    args = parser.parse_args(argv)
    card = fetch_weights(args.model, args.weights, args.seed, args.output, args.card)
    print(f"{card['model']}: {card['source']}, {card['parameters']:,} parameters, sha256 {card['sha256']}")


if __name__ == "__main__":
    sys.exit(run(main))
