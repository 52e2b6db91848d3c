"""Decoders of JPEG photographs, each brought to the crop that an encoder sees.

Sets:   files of --data, all of its most frequent size, and drawn ones of 12 MP, 2 MP and 500 × 375 px.
Sides:  Pillow, and simplejpeg as `decoding.decoder` has it, each with and without `decoding.jpeg_draft`. simplejpeg
        with the least of its own sizes that draft would keep: draft has 1/2, 1/4 and 1/8, it has all eighths.
        torchvision in full. Before the last two, `codestreams` and `jpegs` read the header, as in the product.
Limit:  simplejpeg has the pixels of Pillow, and 1.1 × its rate on one set at least, like with like.

Rates are of processor time: files are in memory, and one thread does all, so that other people's work counts less.
"""

import argparse
import io
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import simplejpeg
import torch
from common import Limit, Timing, benchmark_parser, median_processor, processor_s, report, time_in_turn
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg

from unchoke.encoders.pixels import Pixels
from unchoke.images.codestreams import common_jpeg_size, decoder_bytes, size_of
from unchoke.images.decode import decode_image
from unchoke.images.decoders import PILLOW, SIMPLEJPEG
from unchoke.images.jpegs import orientation_in
from unchoke.images.upright import Stored
from unchoke.names import MAX_PIXELS

DRAWN = {"12 MP": (4000, 3000, 2), "2 MP": (1632, 1224, 12), "500 × 375": (500, 375, 100)}  # width, height, count
TRANSFORM = {"interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center"}
ENDINGS = {".jpg", ".jpeg"}
LEAST = 1.1
Decode = Callable[[bytes], Image.Image]


def draw_photograph(width: int, height: int, seed: int) -> bytes:
    """A JPEG of soft colours and edges of every size under a little noise: about 2 bits a pixel, as cameras write."""
    rng = np.random.default_rng(seed)
    pixels_HW3 = np.full((height, width, 3), 128, np.float32)
    step = max(width, height)
    while step > 4:
        coarse = rng.normal(0, 12, (height // step + 2, width // step + 2, 3))
        levels = Image.fromarray((128 + coarse).clip(0, 255).astype(np.uint8))
        kind = Image.Resampling.NEAREST if rng.random() < 0.3 else Image.Resampling.BICUBIC
        pixels_HW3 += np.asarray(levels.resize((width, height), kind), np.float32) - 128
        step //= 2
    pixels_HW3 += rng.normal(0, 2, (height, width, 1))
    buffer = io.BytesIO()
    Image.fromarray(pixels_HW3.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def sets_of(args: argparse.Namespace) -> dict[str, list[bytes]]:
    """The files of each set, by its name."""
    drawn = {
        name: [draw_photograph(width, height, seed) for seed in range(count)]
        for name, (width, height, count) in DRAWN.items()
    }
    paths = sorted(path for path in args.data.rglob("*") if path.suffix.lower() in ENDINGS)
    by_size: dict[tuple[int, int], list[bytes]] = {}
    for data in map(Path.read_bytes, paths):
        if size := size_of(data):
            by_size.setdefault(size, []).append(data)
    if not by_size:
        return drawn
    size = max(by_size, key=lambda size: len(by_size[size]))
    return {f"{args.data.name}, {size[0]} × {size[1]}": by_size[size][: args.most], **drawn}


def _orientation_behind_header(data: bytes) -> int:
    """The orientation, once the header is checked as the product checks it."""
    if not (size_of(data) and decoder_bytes(data) and common_jpeg_size(data)):
        raise SystemExit("a file of the set is no common JPEG; name a folder without it with --data")
    return orientation_in(data)


def by_simplejpeg(data: bytes, least_px: int) -> Image.Image:
    """simplejpeg with its own choice of a factor."""
    orientation = _orientation_behind_header(data)
    pixels_HW3 = simplejpeg.decode_jpeg(data, "RGB", min_height=least_px, min_width=least_px)
    return Stored(pixels_HW3, orientation).picture()


def by_torchvision(data: bytes) -> Image.Image:
    """torchvision's decoder, which gives (3, H, W)."""
    orientation = _orientation_behind_header(data)
    pixels_3HW = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
    return Stored(pixels_3HW.permute(1, 2, 0).contiguous().numpy(), orientation).picture()


def sides_of(draft_px: int) -> dict[str, Decode]:
    """What decodes, by its name."""
    ours = partial(decode_image, max_pixels=MAX_PIXELS)
    return {
        "Pillow": partial(ours, decoder=PILLOW),
        "simplejpeg": partial(ours, decoder=SIMPLEJPEG),
        "torchvision": by_torchvision,
        "Pillow, draft": partial(ours, decoder=PILLOW, draft_px=draft_px),
        "simplejpeg, draft": partial(ours, decoder=SIMPLEJPEG, draft_px=draft_px),
        "simplejpeg, its own factors": partial(by_simplejpeg, least_px=draft_px),
    }


def repeat(files: Sequence[bytes], decode: Decode, crop: Callable[[Image.Image], torch.Tensor], times: int) -> None:
    """The crops of all files, several times."""
    for data in [*files] * times:
        crop(decode(data))


def crops(files: Sequence[bytes], decode: Decode, crop: Callable[[Image.Image], torch.Tensor]) -> torch.Tensor:
    """The crops of all files, uint8 (N, 3, H, W)."""
    return torch.stack([crop(decode(data)) for data in files])


def difference(one: torch.Tensor, other: torch.Tensor) -> float:
    """Mean difference of two sets of crops, as a share of 255."""
    return float((one.float() - other.float()).abs().mean()) / 255


def compare(
    name: str, files: Sequence[bytes], args: argparse.Namespace
) -> tuple[list[list[str]], dict[str, list[Timing]], list[bool]]:
    """Rows of the table, the times by side, and whether simplejpeg has Pillow's pixels, at either scale."""
    source = Pixels(args.image_size, TRANSFORM)
    sides = sides_of(2 * source.resized_px)
    crop, began = source.preprocess(), processor_s()
    found = {side: crops(files, decode, crop) for side, decode in sides.items()}  # which also warms up
    count = math.ceil(args.seconds * len(sides) / (processor_s() - began))
    times = time_in_turn(
        {side: partial(repeat, files, decode, crop, count) for side, decode in sides.items()}, args.rounds
    )
    costs = {side: median_processor(each) / count for side, each in times.items()}
    bits = statistics.mean(8 * len(data) / np.prod(size_of(data) or (1, 1)) for data in files)
    rows = [[f"{name}: {len(files)} files, {bits:.1f} bits a pixel", *[""] * 5]]
    for side, cost in costs.items():
        rates = [f"{len(files) / cost:.1f}", *(f"{costs[peer] / cost:.2f}" for peer in ("Pillow", "Pillow, draft"))]
        apart = [f"{difference(found[side], found[peer]):.5f}" for peer in ("Pillow", "Pillow, draft")]
        rows.append([f"  {side}", *rates, *apart])
    equal = [torch.equal(found[f"Pillow{scale}"], found[f"simplejpeg{scale}"]) for scale in ("", ", draft")]
    return rows, times, equal


def gains(times: Mapping[str, Sequence[Timing]]) -> list[float]:
    """How many times Pillow's rate simplejpeg has, in full and with draft."""
    costs = {side: median_processor(each) for side, each in times.items()}
    return [costs[f"Pillow{scale}"] / costs[f"simplejpeg{scale}"] for scale in ("", ", draft")]


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--most", type=int, default=400, help="files of a folder, at most")
    parser.add_argument("--image-size", type=int, default=96, help="height and width of the crop, px")
    parser.add_argument("--seconds", type=float, default=0.5, help="of a side in a round, about")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all sides, in turn")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = [["", "images/processor s", "× Pillow", "× draft", "differs", "from draft"]]
    figures: dict[str, dict[str, list[Timing]]] = {}
    equal: list[bool] = []
    for name, files in sets_of(args).items():
        rows, figures[name], same = compare(name, files, args)
        table += rows
        equal += same
    best = max(gain for times in figures.values() for gain in gains(times))
    limits = [
        Limit("simplejpeg on its best set", f"{best:.2f} × Pillow", f"at least {LEAST}", best >= LEAST),
        Limit("its crops and Pillow's", "equal" if all(equal) else "different", "equal", all(equal)),
    ]
    return report(args, table, limits, {"times": figures})


if __name__ == "__main__":
    sys.exit(main())
