"""How many images a second does one process turn into a sealed store of features?

Peer:   a PyTorch DataLoader around the same timm model: a worker a core, kept between epochs, batches of 64, inference
        mode, mean pooling, one float16 .npy at the end. It neither survives a kill nor notices a damaged file. A second
        peer has model and batches in channels-last order, which PyTorch's tuning guide advises for convolutions.
Limit:  on EfficientNets, compiled, at least 1.5 × the channels-last peer; on other models 1.2 ×, by the faster of our
        two ways. Features within 1 % of the peer's own.
Steps:  that a profile can take its steps by name costs an extraction without one less than 1 %. One more side, of the
        first model, goes through the same call HOOKS times more at each step; a HOOKS-th of its processor time beyond
        ours is the cost.

All sides have all cores, the same weights, the same preprocessing, and their model already loaded, and compiled: the
seconds that compiling took stand in the table, few where its code was in the cache. The peer's workers have started.
Our time holds the reading of the rows, every chunk's fsync and the seal. Small photographs are drawn and measured.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import (
    CORES,
    TIMING_HEADER,
    Limit,
    Timing,
    benchmark_parser,
    median_processor,
    median_wall,
    report,
    skip_without,
    time_in_turn,
    timing_cells,
)
from numpy.typing import NDArray
from photographs import CHUNK_SIZE, Photographs, extract_store, prepare, repeated_set
from PIL import Image, ImageOps
from safetensors.torch import load_file
from timm import create_model
from timm.data.transforms_factory import create_transform
from torch.utils.data import DataLoader, Dataset

from unchoke.encoders.compiled import compile_encoder
from unchoke.encoders.lanes import lanes_within
from unchoke.images.steps import PLAIN as PLAIN_STEPS
from unchoke.images.steps import Steps
from unchoke.store.read import open_complete

MODELS = ["tf_efficientnet_lite0", "efficientnet_b0", "resnet18", "vit_tiny_patch16_224"]
EAGER, COMPILED = "unchoke", "unchoke, compiled"
PLAIN, CHANNELS_LAST = "DataLoader + timm", "DataLoader + timm, channels last"

HOOKS = 200
HOOKED = f"unchoke, {HOOKS} more calls a step"


class Hooked(Steps):
    """Calls as often as HOOKS says what an extraction calls once a step."""

    def take(self, step: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        for _ in range(HOOKS):
            PLAIN_STEPS.take(step, nothing, *args, **kwargs)
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


def plain_model(photographs: Photographs, image_size: int, order: torch.memory_format) -> Any:
    model: Any = create_model(photographs.card["model"], pretrained=False, num_classes=0)
    model.load_state_dict(load_file(photographs.weights))
    if hasattr(model, "set_input_size"):
        model.set_input_size(img_size=(image_size, image_size))
    return model.eval().to(memory_format=order)


def plain_loader(photographs: Photographs, image_size: int) -> DataLoader[torch.Tensor]:
    config = {**photographs.card["data_config"], "input_size": (3, image_size, image_size)}
    images = PlainImages(photographs.paths, create_transform(**config))
    return DataLoader(images, batch_size=CHUNK_SIZE, num_workers=CORES, persistent_workers=True)


@torch.inference_mode()
def plain_features(model: Any, loader: DataLoader[torch.Tensor], order: torch.memory_format) -> NDArray[np.float32]:
    """What a notebook would do: forward_features, and the mean over the places of the picture."""
    collected = []
    for images in loader:
        maps = model.forward_features(images.contiguous(memory_format=order))
        pooled = maps.mean((2, 3)) if maps.ndim == 4 else maps[:, model.num_prefix_tokens :].mean(1)
        collected.append(pooled.numpy())
    return np.concatenate(collected)


def plain_extraction(photographs: Photographs, image_size: int, channels_last: bool, file: Path) -> Callable[[], None]:
    """An epoch of the peer, to a file."""
    order = torch.channels_last if channels_last else torch.contiguous_format
    model, loader = plain_model(photographs, image_size, order), plain_loader(photographs, image_size)
    return lambda: np.save(file, plain_features(model, loader, order).astype(np.float16))


def difference(ours_ND: NDArray[np.float16], plain_ND: NDArray[np.float16]) -> tuple[float, float]:
    """Largest absolute difference, and the largest distance of an image from its peer over their median spread."""
    ours, plain = ours_ND.astype(np.float32), plain_ND.astype(np.float32)
    spread = np.median(np.linalg.norm(plain - plain.mean(0), axis=1))
    return float(np.abs(ours - plain).max()), float((np.linalg.norm(ours - plain, axis=1) / spread).max())


def compiled(photographs: Photographs, micro_batch: int) -> tuple[Photographs, float]:
    """The same with its encoder compiled for the threads of a lane, and the seconds that this took."""
    lanes = lanes_within(CORES, photographs.encoder, -(-CHUNK_SIZE // micro_batch), CORES)
    torch.set_num_threads(lanes.threads)
    started = time.perf_counter()
    encoder = compile_encoder(photographs.encoder, micro_batch)
    taken = time.perf_counter() - started
    torch.set_num_threads(CORES)
    return replace(photographs, encoder=encoder), taken


@dataclass(frozen=True)
class Compared:
    """All sides on one model."""

    model: str
    images: int
    compile_s: float
    times: dict[str, list[Timing]]
    absolute: float
    relative: float

    def rate(self, side: str) -> float:
        """Images a second."""
        return self.images / median_wall(self.times[side])

    def rows(self) -> list[list[str]]:
        """Of the table, a side each."""
        notes = {COMPILED: f"{self.compile_s:.0f}"}
        return [
            [
                f"{self.model}: {side}",
                f"{self.rate(side):.0f}",
                f"{self.rate(side) / self.rate(CHANNELS_LAST):.2f}",
                notes.get(side, ""),
                *timing_cells(times)[:-1],  # the peer's workers live on, and nobody has their processor time
            ]
            for side, times in self.times.items()
        ]

    def limits(self) -> list[Limit]:
        """The goal for this kind of model, and the features."""
        is_efficient = "efficientnet" in self.model
        ours = self.rate(COMPILED) if is_efficient else max(self.rate(EAGER), self.rate(COMPILED))
        ratio, goal = ours / self.rate(CHANNELS_LAST), 1.5 if is_efficient else 1.2
        found = f"{self.relative:.2%} (absolute {self.absolute:.1e})"
        return [
            Limit(f"{self.model}: ratio to channels last", f"{ratio:.2f}", f"at least {goal}", ratio >= goal),
            Limit(f"{self.model}: features differ by", found, "1 % of the spread", self.relative <= 0.01),
            *([self._limit_of_steps()] if HOOKED in self.times else []),
        ]

    def _limit_of_steps(self) -> Limit:
        cost = (median_processor(self.times[HOOKED]) / median_processor(self.times[EAGER]) - 1) / HOOKS
        return Limit("steps by name cost", f"{cost:.3%}", "below 1 % of extraction", cost < 0.01)


def compare(args: argparse.Namespace, model: str, data: Path, folder: Path, hooked: bool) -> Compared:
    """Every side once to warm up, then in turn."""
    photographs = prepare(data, folder, model, args.image_size)
    faster, compile_s = compiled(photographs, args.micro_batch)
    store, file = folder / "ours.zarr", folder / "plain.npy"
    sides: dict[str, Callable[[], object]] = {
        EAGER: partial(extract_store, photographs, folder / "eager.zarr", args.micro_batch),
        COMPILED: partial(extract_store, faster, store, args.micro_batch),
        PLAIN: plain_extraction(photographs, args.image_size, False, file),
        CHANNELS_LAST: plain_extraction(photographs, args.image_size, True, folder / "tuned.npy"),
    }
    if hooked:
        sides[HOOKED] = partial(extract_store, photographs, folder / "hooked.zarr", args.micro_batch, Hooked())
    for side in sides.values():
        side()
    times = time_in_turn(sides, args.rounds)
    differences = difference(open_complete(store).features("avg"), np.load(file))
    return Compared(model, len(photographs.paths), compile_s, times, *differences)


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, help="models of timm; weights are drawn from seed 0")
    parser.add_argument("--image-size", type=int, default=96, help="height and width of what they see, px")
    parser.add_argument("--images", type=int, default=128, help="photographs to draw, each of at most 1,000 px")
    parser.add_argument("--micro-batch", type=int, default=32, help="unchoke's images per pass; 32 is the config's")
    parser.add_argument("--rounds", type=int, default=3, help="times that each side is measured")
    args = parser.parse_args()
    skip_without(args.data)
    with tempfile.TemporaryDirectory(prefix="unchoke-bench-") as name:
        folder = Path(name)
        drawn = repeated_set(args.data.resolve(), folder / "drawn", args.images)
        found: list[Compared] = []
        for model in args.models:
            (folder / model).mkdir()
            found.append(compare(args, model, drawn, folder / model, hooked=not found))
    print(f"{args.images} images at {args.image_size} px, {CORES} threads a side, median of {args.rounds}")
    table = [["", "img/s", "× channels last", "compiling s", *TIMING_HEADER[:-1]]]
    table += [row for each in found for row in each.rows()]
    limits = [limit for each in found for limit in each.limits()]
    return report(args, table, limits, [asdict(each) for each in found])


if __name__ == "__main__":
    sys.exit(main())
