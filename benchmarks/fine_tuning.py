"""Fine-tuning from cached activations beside a plain PyTorch loop, with EfficientNet-Lite0 at 128 px.

steps     one step of 64 images: from cached activations, with the frozen part in each step, with everything trained.
          Images lie in memory on all sides, so that decoding is not counted.
epochs    the last two stages (5 blocks) trained for 8 epochs: ours, with the activations cached first; a loop with a
          DataLoader that decodes and runs the frozen part in every epoch. Optimizer, rate, schedule and first weights
          are the same. Both are scored on test at the end.
memory    peak of a process that takes ten steps from cached activations, and of one that trains everything.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import (
    CORES,
    TIMING_HEADER,
    Limit,
    benchmark_parser,
    median_wall,
    report,
    skip_without,
    time_in_turn,
    timing_cells,
)
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from unchoke.config.networks import Network as Section
from unchoke.encoders.cards import read_card
from unchoke.encoders.preprocessing import transform_of
from unchoke.encoders.weights import fetch_weights
from unchoke.machine.memory import Host
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.networks.build import build_network
from unchoke.networks.images import HeldImages
from unchoke.networks.member import train_member
from unchoke.networks.network import Network
from unchoke.networks.plan import first_batch, take_step
from unchoke.networks.predict import logits_of
from unchoke.networks.step import Learner, make_learner
from unchoke.networks.task import NetworkTask
from unchoke.store.tables import MANIFEST_COLUMNS, read_table

MODEL, SIZE, BLOCKS, EPOCHS, BATCH = "tf_efficientnet_lite0", 128, 5, 8, 64
CPU = torch.device("cpu")
RATE = 1e-3
MEASURED_STEPS = 10
KINDS = {
    "cached": {"blocks": BLOCKS},
    "frozen part in each step": {"blocks": BLOCKS, "cache": "none"},
    "everything trained": {"blocks": "all"},
}


class Photographs:
    """The photographs of a folder by class, split at random, and the encoder's weights."""

    def __init__(self, data: Path, folder: Path) -> None:
        torch.set_num_threads(CORES)
        self.weights, card = folder / "w.safetensors", folder / "w.json"
        fetch_weights(MODEL, "packaged", 0, self.weights, card)
        facts = read_card(card)
        self.facts = {**facts, "weights_sha256": facts["sha256"], "image_size": SIZE}
        build_manifest("folder", data, None, SplitSettings(0, 0.15, 0.15), 64, folder / "m.csv", folder / "rows")
        table = read_table(folder / "m.csv", MANIFEST_COLUMNS)
        self.paths = [data / path for path in table["path"]]
        self.split_N, labels = table["split"].to_numpy(), sorted(table["label"].unique())
        self.label_N = np.array([labels.index(label) for label in table["label"]])
        self.prepare = transform_of(SIZE, self.facts["data_config"])
        self.n_classes = len(labels)

    def pixels(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Some photographs as the encoder sees them, uint8 (B, 3, SIZE, SIZE)."""
        return np.stack([self.decode(place) for place in places])

    def decode(self, place: int) -> NDArray[np.uint8]:
        """One photograph."""
        with Image.open(self.paths[place]) as image:
            return self.prepare(image.convert("RGB")).numpy()

    def places(self, split: str) -> NDArray[np.int64]:
        """Which photographs a split has."""
        return np.flatnonzero(self.split_N == split)

    def network(self, kind: str, seed: int = 0) -> Network:
        """The network of one side."""
        return build_network(self.facts, settings_of(kind), self.n_classes, seed, self.weights)


def settings_of(kind: str) -> dict[str, Any]:
    """A network of the config, with all defaults."""
    given = {"encoder": "lite0", "learning_rates": [RATE], "epochs": EPOCHS, "batch_size": BATCH, "minutes": None}
    return {**Section(**given, **KINDS[kind]).model_dump(), "choose_by": "accuracy", "start": None}


@torch.no_grad()
def activations(frozen: torch.nn.Module, network: Network, pixels_N: NDArray[np.uint8]) -> NDArray[np.float16]:
    """What the trained part is given, as the cache holds it."""
    parts = torch.from_numpy(pixels_N).split(32)
    return np.concatenate([frozen(network.inputs(part)).numpy().astype(np.float16) for part in parts])


def step_of(photographs: Photographs, kind: str) -> Callable[[], None]:
    """One step of a side, ready to be taken."""
    places = photographs.places("train")[:BATCH]
    network, x = photographs.network(kind), photographs.pixels(places)
    if kind == "cached":
        x = activations(photographs.network("frozen part in each step").frozen, network, x)
    images = HeldImages(places, photographs.label_N[places], x[None])
    learner: Learner = make_learner(network, settings_of(kind), CPU, torch.ones(photographs.n_classes), 0.0, 0)
    return partial(take_step, learner, first_batch(images, BATCH, CPU, settings_of(kind)), BATCH)


def peak_mb(data: Path, kind: str) -> float:
    """Most resident memory of a process of its own that takes some steps, MB."""
    command = [sys.executable, __file__, "--data", str(data), "--only", kind]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def fine_tune(photographs: Photographs, seed: int) -> tuple[float, float]:
    """Accuracy on test, and seconds of caching and training, as the workflow does both."""
    started = time.perf_counter()
    frozen, network = photographs.network("frozen part in each step").frozen, photographs.network("cached")
    images = {}
    for split in ("train", "val", "test"):
        places = photographs.places(split)
        x = activations(frozen, network, photographs.pixels(places))
        images[split] = HeldImages(places, photographs.label_N[places], x[None])
    settings, build = settings_of("cached"), partial(photographs.network, "cached")
    task = NetworkTask(build, images["train"], images["val"], settings, photographs.n_classes, CPU, "benchmark")
    member = train_member(task, RATE, 0.0, seed, BATCH)
    seconds = time.perf_counter() - started
    logits = logits_of(build(seed), images["test"], CPU, settings, BATCH, member.tensors)
    return float((logits.argmax(1).numpy() == images["test"].label_N).mean()), seconds


class Decoded(Dataset[tuple[torch.Tensor, int]]):
    """Photographs that are decoded whenever they are asked for."""

    def __init__(self, photographs: Photographs, split: str) -> None:
        self.photographs, self.places = photographs, photographs.places(split)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        place = self.places[row]
        return torch.from_numpy(self.photographs.decode(place)), int(self.photographs.label_N[place])


def plain_loop(photographs: Photographs, seed: int) -> tuple[float, float]:
    """As ``fine_tune``, as a notebook does it: decode, frozen part, step; val after each epoch."""
    started = time.perf_counter()
    torch.manual_seed(seed)
    network = photographs.network("frozen part in each step", seed)
    frozen, trained = network.frozen, network.trained
    loaders = {
        split: DataLoader(Decoded(photographs, split), BATCH, shuffle=split == "train", num_workers=CORES - 1)
        for split in ("train", "val", "test")
    }
    optimizer = torch.optim.AdamW(trained.parameters(), RATE, weight_decay=0.0)
    steps = EPOCHS * len(loaders["train"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.05)

    def logits_of_batch(x_B3HW: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            seen = frozen(network.inputs(x_B3HW))  # type: ignore[misc]
        return trained(seen)  # type: ignore[no-any-return]

    def accuracy(split: str) -> float:
        trained.eval()
        with torch.no_grad():
            right = [(logits_of_batch(x).argmax(1) == labels).sum() for x, labels in loaders[split]]
        return float(sum(right)) / len(photographs.places(split))

    for _ in range(EPOCHS):
        network.train()
        for x, labels in loaders["train"]:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(logits_of_batch(x), labels).backward()
            optimizer.step()
            schedule.step()
        accuracy("val")
    seconds = time.perf_counter() - started
    return accuracy("test"), seconds


def step_limits(photographs: Photographs, rounds: int) -> tuple[list[list[str]], list[Limit], dict[str, Any]]:
    """Table, limits and figures of the steps."""
    sides = {kind: step_of(photographs, kind) for kind in KINDS}
    time_in_turn(sides, 1)  # the first steps take longer
    times = time_in_turn(sides, rounds)
    cached, frozen, whole = (median_wall(times[kind]) for kind in KINDS)
    table = [["side", *TIMING_HEADER], *([kind, *timing_cells(each)] for kind, each in times.items())]
    limits = [
        Limit("frozen part in each step / cached", f"{frozen / cached:.2f}", "at least 1.5", frozen / cached >= 1.5),
        Limit("everything trained / cached", f"{whole / cached:.2f}", "at least 4", whole / cached >= 4),
    ]
    return table, limits, {"times": times}


def memory_limit(data: Path) -> tuple[Limit, dict[str, Any]]:
    """Peaks of both sides."""
    cached, whole = (peak_mb(data, kind) for kind in ("cached", "everything trained"))
    limit = Limit("peak of cached / everything trained", f"{cached:.0f} / {whole:.0f} MB", "below 1", cached < whole)
    return limit, {"peak_mb": [cached, whole]}


def epoch_limits(photographs: Photographs, seeds: int) -> tuple[list[Limit], dict[str, Any]]:
    """Accuracies and seconds of both loops, in turn."""
    ours, plain = [], []
    for seed in range(seeds):
        ours.append(fine_tune(photographs, seed))
        plain.append(plain_loop(photographs, seed))
    right, seconds = np.median(ours, 0)
    other, other_s = np.median(plain, 0)
    limits = [
        Limit("accuracy on test, ours", f"{right:.3f} (plain loop {other:.3f})", "at least 0.97", right >= 0.97),
        Limit("minutes, ours", f"{seconds / 60:.1f}", "at most 4", seconds <= 240),
        Limit("seconds, ours / plain loop", f"{seconds / other_s:.2f}", "at most 0.4", seconds <= 0.4 * other_s),
    ]
    return limits, {"ours": ours, "plain": plain}


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="steps of each side, in turn")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of either loop, in turn; 0: none")
    parser.add_argument("--only", choices=KINDS, help="take some steps of one side, and print its peak of memory")
    args = parser.parse_args()
    skip_without(args.data)
    with tempfile.TemporaryDirectory() as name:
        photographs = Photographs(args.data, Path(name))
        if args.only:
            step = step_of(photographs, args.only)
            for _ in range(MEASURED_STEPS):
                step()
            print(f"{Host().peak_mb():.0f}")
            return 0
        table, limits, figures = step_limits(photographs, args.rounds)
        memory, peaks = memory_limit(args.data)
        epochs, trained = epoch_limits(photographs, args.seeds) if args.seeds else ([], {})
    return report(args, table, [*limits, memory, *epochs], {**figures, **peaks, **trained})


if __name__ == "__main__":
    sys.exit(main())
