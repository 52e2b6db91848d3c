"""How many images a second does one process turn into a sealed store of features?

Peer:   a plain PyTorch DataLoader with a worker a core around the same timm model: batches of 64, mean pooling, one
        float16 .npy at the end. It neither survives a kill nor notices a damaged file.
Limit:  at least as fast as the plain loop (ratio 1.0; aim 1.3), and features within 1 % of its own. The same loop with
        its model in channels-last order, which few write, stands beside it.
Steps:  that a profile can take its steps by name costs an extraction without one less than 1 %. One more side goes
        through the same call HOOKS times more at each step; a HOOKS-th of its processor time beyond ours is the cost.

Both sides have all cores, the same weights, the same preprocessing, and their model already loaded. The peer's time
holds the start of its workers, ours the reading of the rows, every chunk's fsync and the seal.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import (
    CORES,
    TIMING_HEADER,
    Limit,
    benchmark_parser,
    encoder_flags,
    median_wall,
    report,
    skip_without,
    time_in_turn,
    timing_cells,
)
from numpy.typing import NDArray
from photographs import CHUNK_SIZE, Photographs, extract_chunks, extract_store, prepare
from PIL import Image, ImageOps
from safetensors.torch import load_file
from timm import create_model
from timm.data.transforms_factory import create_transform
from torch.utils.data import DataLoader, Dataset

from unchoke.images.steps import PLAIN, Steps
from unchoke.store.read import open_complete

HOOKS = 200
HOOKED = f"unchoke, {HOOKS} more calls a step"


class Hooked(Steps):
    """Calls as often as HOOKS says what an extraction calls once a step."""

    def take(self, step: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        for _ in range(HOOKS):
            PLAIN.take(step, nothing, *args, **kwargs)
        return function(*args, **kwargs)


def nothing(*args: object, **kwargs: object) -> None:
    """A step that does nothing."""


class PlainImages(Dataset[torch.Tensor]):
    """Pictures through timm's transform, opened as torchvision's ImageFolder opens them, but upright as ours are."""

    def __init__(self, paths: list[Path], transform: Callable[[Image.Image], Any]) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with self.paths[index].open("rb") as file:
            return self.transform(ImageOps.exif_transpose(Image.open(file)).convert("RGB"))  # type: ignore[no-any-return]


def plain_model(photographs: Photographs, image_size: int, channels_last: bool) -> Any:
    model: Any = create_model(photographs.card["model"], pretrained=False, num_classes=0)
    model.load_state_dict(load_file(photographs.weights))
    if hasattr(model, "set_input_size"):
        model.set_input_size(img_size=(image_size, image_size))
    return model.eval().to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def plain_loader(photographs: Photographs, image_size: int) -> DataLoader[torch.Tensor]:
    config = {**photographs.card["data_config"], "input_size": (3, image_size, image_size)}
    images = PlainImages(photographs.paths, create_transform(**config))
    return DataLoader(images, batch_size=CHUNK_SIZE, num_workers=CORES)


@torch.inference_mode()
def plain_features(model: Any, loader: DataLoader[torch.Tensor], batches: int | None = None) -> NDArray[np.float32]:
    """What a notebook would do: forward_features, and the mean over the places of the picture."""
    collected = []
    for images in islice(loader, batches):
        maps = model.forward_features(images)
        pooled = maps.mean((2, 3)) if maps.ndim == 4 else maps[:, model.num_prefix_tokens :].mean(1)
        collected.append(pooled.numpy())
    return np.concatenate(collected)


def plain_extraction(model: Any, loader: DataLoader[torch.Tensor], file: Path) -> None:
    np.save(file, plain_features(model, loader).astype(np.float16))


def difference(ours_ND: NDArray[np.float16], plain_ND: NDArray[np.float16]) -> tuple[float, float]:
    """Largest absolute difference, and the largest distance of an image from its peer over their median spread."""
    ours, plain = ours_ND.astype(np.float32), plain_ND.astype(np.float32)
    spread = np.median(np.linalg.norm(plain - plain.mean(0), axis=1))
    return float(np.abs(ours - plain).max()), float((np.linalg.norm(ours - plain, axis=1) / spread).max())


def compare(args: argparse.Namespace, folder: Path) -> int:
    photographs = prepare(args.data, folder, args.model, args.image_size)
    store, file = folder / "ours.zarr", folder / "plain.npy"
    loader = plain_loader(photographs, args.image_size)
    plain = plain_model(photographs, args.image_size, channels_last=False)
    tuned = plain_model(photographs, args.image_size, channels_last=True)
    extract_chunks(photographs, folder / "warm-up.zarr", args.micro_batch, 1)
    for model in (plain, tuned):
        plain_features(model, loader, batches=2)
    sides = {
        "unchoke": partial(extract_store, photographs, store, args.micro_batch),
        HOOKED: partial(extract_store, photographs, folder / "hooked.zarr", args.micro_batch, Hooked()),
        "DataLoader + timm": partial(plain_extraction, plain, loader, file),
        "DataLoader + timm, channels last": partial(plain_extraction, tuned, loader, folder / "tuned.npy"),
    }
    times = time_in_turn(sides, args.rounds)
    rates = {name: len(photographs.paths) / median_wall(part) for name, part in times.items()}
    absolute, relative = difference(open_complete(store).features("avg"), np.load(file))
    table = [["", "img/s", "unchoke ×", *TIMING_HEADER]]
    for name, rate in rates.items():
        table.append([name, f"{rate:.0f}", f"{rates['unchoke'] / rate:.2f}", *timing_cells(times[name])])
    print(f"{args.model} at {args.image_size} px, {len(photographs.paths)} images, median of {args.rounds}")
    ratio = rates["unchoke"] / rates["DataLoader + timm"]
    ours_s, hooked_s = (median(timing.processor_s for timing in times[name]) for name in ("unchoke", HOOKED))
    steps = (hooked_s / ours_s - 1) / HOOKS
    limits = [
        Limit("ratio to DataLoader + timm", f"{ratio:.2f}", "at least 1.0, aim 1.3", ratio >= 1.0),
        Limit("features differ by", f"{relative:.2%} (absolute {absolute:.1e})", "1 % of the spread", relative <= 0.01),
        Limit("steps by name cost", f"{steps:.3%}", "below 1 % of extraction", steps < 0.01),
    ]
    return report(
        args,
        table,
        limits,
        {"times": times, "rates": rates, "absolute": absolute, "relative": relative, "steps": steps},
    )


def main() -> int:
    parser = benchmark_parser(__doc__)
    encoder_flags(parser)
    parser.add_argument("--micro-batch", type=int, default=32, help="unchoke's images per pass; 32 is the config's")
    parser.add_argument("--rounds", type=int, default=3, help="times that each side is measured")
    args = parser.parse_args()
    skip_without(args.data)
    with tempfile.TemporaryDirectory(prefix="unchoke-bench-") as folder:
        return compare(args, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
