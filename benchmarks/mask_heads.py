"""How soon do heads on cached features tell pixels apart, and how soon does a U-Net on the pixels themselves?

Peer:   the lightweight U-Net (64-128-256 and back) on the same patches, labels, split and machine, as `kind: unet`.
Limit:  none; without pretrained weights the U-Net may win in the end. Printed for every head: the mean IoU on val after
        each epoch with the seconds until then (those of the features counted), the seconds to some IoUs that the U-Net
        reaches too, and the foreground's IoU on the test images, stitched, with its interval.

The electron-microscope slices beside the repository: 20 train, 5 val and 5 test images of 512 × 512 px. Two encoders, a
ResNet-18 with random weights, and the same after it was trained with the decoder, by the U-Net's own loss, on the
training images alone: what an encoder gives that fits the images. The seconds of that training are printed apart.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from clones import EVERYTHING, Clone, temporary_clone, temporary_folder
from common import PHOTOGRAPHS, benchmark_parser, report, skip_without
from safetensors.torch import save_file

from unchoke.encoders.encoder import CPU, Encoder, load_encoder
from unchoke.encoders.maps import feature_maps
from unchoke.machine.receipts import read_json
from unchoke.mask_heads.batches import batches, tensors_of
from unchoke.mask_heads.head import kind_of
from unchoke.mask_heads.losses import loss_of
from unchoke.mask_heads.patches import split_patches
from unchoke.store import chunks as stores
from unchoke.store.read import open_complete
from unchoke.training.batches import batch_count

MEMBRANE = PHOTOGRAPHS.with_name("membrane")
MODEL, STRIDES, SIZE = "resnet18", [4, 8], 256
Settings = dict[str, Any]


def sections(data: Path, args: argparse.Namespace, **weights: str) -> Settings:
    """A config with one encoder for each of `weights`."""
    encoder = {"model": MODEL, "strides": STRIDES, "image_size": SIZE}
    return {
        "dataset": {"kind": "masks", "path": str(data), "split": {"seed": 0, "val": 0.17, "test": 0.17}},
        "encoders": {name: {**encoder, "weights": origin} for name, origin in weights.items()},
        "mask_heads": {
            "linear": {"kind": "linear", "epochs": args.epochs, "learning_rates": [1e-2]},
            "decoder": {"kind": "decoder", "epochs": args.epochs, "learning_rates": [1e-3]},
            "unet": {"kind": "unet", "epochs": args.unet_epochs, "learning_rates": [1e-3], "width": args.unet_width},
        },
    }


def fit_encoder(clone: Clone, results: Path, data: Path, config: Settings, file: Path) -> float:
    """Train the encoder with a decoder on the training patches, from its random weights; seconds."""
    started, head = time.perf_counter(), {**config["mask_heads"]["decoder"], "width": 64}
    weights, card = (clone.folder / f"resources/weights/{MODEL}.untrained-0.{kind}" for kind in ("safetensors", "json"))
    encoder = load_encoder(weights, card, SIZE, [], CPU, "float32", STRIDES)
    encoder.model.requires_grad_(True).train()
    labels = open_complete(results / "labels.zarr")
    train = split_patches(None, labels, results / "manifest.csv", data, 2**28)["train"]
    channels = dict(open_complete(results / "features/untrained.zarr").seal["widths"])
    torch.manual_seed(0)
    decoder = kind_of({"kind": "decoder"}).build(channels, {f"s{stride}": stride for stride in STRIDES}, 2, head)
    train_both(encoder, decoder, train, config["fit_epochs"])
    state = {name: tensor.contiguous() for name, tensor in encoder.model.state_dict().items()}
    save_file(state, file)
    return time.perf_counter() - started


def train_both(encoder: Encoder, decoder: torch.nn.Module, train: Any, epochs: int) -> None:
    """By AdamW at 1e-3 along half a cosine, batches of 8."""
    loss_of_batch = loss_of({"loss": "cross_entropy+dice", "focal_gamma": 2.0, "dice": "batch"})
    optimizer = torch.optim.AdamW([*encoder.model.parameters(), *decoder.parameters()], 1e-3)
    steps = epochs * batch_count(len(train), 8)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for epoch in range(epochs):
        for batch in batches(train, 8, 0, epoch, 16, 1024):
            x = encoder.normalise(tensors_of(batch.maps, CPU)["pixels"])
            logits = decoder(feature_maps(encoder.model, x, encoder.maps))
            optimizer.zero_grad()
            loss_of_batch(logits, torch.from_numpy(batch.label), torch.ones(2), None).backward()
            optimizer.step()
            schedule.step()


def feature_seconds(results: Path, encoder: str) -> float:
    """What the feature maps of all patches took; none for pixels."""
    store = results / "features" / f"{encoder}.zarr"
    if not store.exists():
        return 0.0
    chunks = len(read_json(stores.seal_file(store))["rows_sha256"])
    return sum(stores.read_record(store, chunk)["seconds"]["total"] for chunk in range(chunks))


def curve(results: Path, encoder: str, head: str) -> tuple[np.ndarray, np.ndarray]:
    """Seconds at the end of each epoch, features counted, and the mean IoU on val then."""
    group = zarr.open_group(results / "heads" / f"{encoder}.zarr" / head, mode="r")
    run = read_json(results / "runs" / encoder / f"{head}.json")
    seconds = np.array(run["epoch_seconds"]) + feature_seconds(results, encoder)
    return seconds, np.asarray(group["curves/val_iou"])[:, 0, 0]


def compare(args: argparse.Namespace, clone: Clone) -> int:
    data, results = args.data.resolve(), clone.results("membrane")
    config = sections(data, args, untrained="untrained")
    clone.configure("membrane", **config)
    made = [f"results/membrane/{store}.zarr/zarr.json" for store in ("features/untrained", "labels")]
    clone.snakemake("membrane", *made, *EVERYTHING)
    file = clone.folder / "fitted.safetensors"
    seconds = fit_encoder(clone, results, data, {**config, "fit_epochs": args.fit_epochs}, file)
    clone.configure("membrane", **sections(data, args, untrained="untrained", fitted=str(file)))
    places = [(encoder, head) for encoder in ("untrained", "fitted") for head in ("linear", "decoder")]
    places.append(("pixels", "unet"))
    clone.snakemake("membrane", *(f"results/membrane/scores/{'/'.join(place)}.json" for place in places), *EVERYTHING)
    print(f"fitted: {args.fit_epochs} epochs of the encoder with the decoder on the training images, {seconds:.0f} s")
    return show(args, results, places, seconds)


def show(args: argparse.Namespace, results: Path, places: list[tuple[str, str]], fit_s: float) -> int:
    """The curves, then the table."""
    curves = {place: curve(results, *place) for place in places}
    for place, (seconds, iou) in curves.items():
        points = ", ".join(f"{s:.0f} s {value:.3f}" for s, value in zip(seconds, iou, strict=True))
        print(f"{'/'.join(place)}: {points}")
    marks = [
        float(np.floor(1000 * share * curves["pixels", "unet"][1].max()) / 1000) for share in (0.8, 0.9, 0.95, 1.0)
    ]
    table = [["encoder/head", *(f"s to {mark:.3f}" for mark in marks), "best val", "test foreground IoU"]]
    for place, (seconds, iou) in curves.items():
        first = [
            next((f"{s:.0f}" for s, value in zip(seconds, iou, strict=True) if value >= mark), "-") for mark in marks
        ]
        figure = read_json(results / "scores" / place[0] / f"{place[1]}.json")["figures"]["test"]["iou.foreground"]
        interval = f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"
        table.append(["/".join(place), *first, f"{iou.max():.3f}", interval])
    figures = {"/".join(place): [part.tolist() for part in parts] for place, parts in curves.items()}
    return report(args, table, [], {"curves": figures, "fit_seconds": fit_s})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.set_defaults(data=MEMBRANE)
    parser.add_argument("--epochs", type=int, default=20, help="epochs of the heads on cached features")
    parser.add_argument("--unet-epochs", type=int, default=4, help="epochs of the U-Net")
    parser.add_argument("--unet-width", type=int, default=64, help="channels of its first level")
    parser.add_argument("--fit-epochs", type=int, default=8, help="epochs of the encoder that is trained")
    args = parser.parse_args()
    if args.data == PHOTOGRAPHS:  # from run_all
        args.data = MEMBRANE
    skip_without(args.data)
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        return compare(args, clone)


if __name__ == "__main__":
    sys.exit(main())
