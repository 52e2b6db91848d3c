"""Which encoder for a CPU, and for 4 GB? Images a second, weights, width and disk of a dozen encoders of timm.

Every encoder sees images of one size, in float32 on one core, its features averaged over the places of the image.
Rates are by processor time, which a busy machine moves less than wall time, and encoders take turns. Weights are drawn
from a seed: rates and widths do not depend on them. Decoding is not counted; `benchmarks/extract_rate.py` counts it.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import torch
from common import benchmark_parser, median_processor, report, time_in_turn

from unchoke.encoders.encoder import Encoder, load_encoder, weights_mb
from unchoke.encoders.weights import fetch_weights

FIRST = "tf_efficientnet_lite0"
MODELS = (
    "mobilenetv3_small_050",
    "mobilenetv3_large_100",
    FIRST,
    "tf_efficientnet_lite2",
    "resnet18",
    "efficientnet_b0",
    "vit_tiny_patch16_224",
    "resnet50",
    "vit_small_patch16_224",
    "convnext_tiny",
    "swin_tiny_patch4_window7_224",
    "vit_base_patch16_224",
)
IMAGES = 100_000


def untrained(model: str, image_size: int, folder: Path) -> Encoder:
    """The encoder with weights drawn from seed 0, on the CPU."""
    weights, card = folder / f"{model}.safetensors", folder / f"{model}.json"
    fetch_weights(model, "untrained", 0, weights, card)
    return load_encoder(weights, card, image_size, ["avg"], torch.device("cpu"), "float32")


def cells(encoder: Encoder, rate: float, first_rate: float, dimensions: int) -> list[str]:
    """A row of the table; float16 takes two bytes a number."""
    features_mb = IMAGES * dimensions * 2 / 1e6
    return [
        str(encoder.card["model"]),
        f"{encoder.card['parameters'] / 1e6:.1f}",
        f"{weights_mb(encoder):.0f}",
        f"{rate:.1f}",
        f"{rate / first_rate:.2f}",
        f"{IMAGES / rate / 60:.0f}",
        str(dimensions),
        f"{features_mb:.0f}",
    ]


def compare(args: argparse.Namespace, folder: Path) -> int:
    torch.set_num_threads(1)
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(256, (args.images, 3, args.image_size, args.image_size), generator=drawn, dtype=torch.uint8)
    encoders = {model: untrained(model, args.image_size, folder) for model in MODELS}
    dimensions = {model: encoder.encode(images)["avg"].shape[1] for model, encoder in encoders.items()}
    times = time_in_turn({model: partial(encoder.encode, images) for model, encoder in encoders.items()}, args.rounds)
    rates = {model: len(images) / median_processor(part) for model, part in times.items()}
    header = ["encoder", "million weights", "MB", "images/s", "× lite0", "minutes", "width", "MB of features"]
    rows = [cells(encoders[model], rates[model], rates[FIRST], dimensions[model]) for model in MODELS]
    print(f"one core, {args.image_size} px, {args.images} images at once, median of {args.rounds}")
    print(f"minutes and MB of features are those of {IMAGES:,} images")
    return report(args, [header, *rows], [], {"times": times, "rates": rates, "width": dimensions})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--image-size", type=int, default=224, help="height and width of what encoders see, px")
    parser.add_argument("--images", type=int, default=8, help="images at once")
    parser.add_argument("--rounds", type=int, default=5, help="times that each encoder is measured")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="unchoke-bench-") as folder:
        return compare(args, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
