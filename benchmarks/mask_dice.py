"""Which Dice loss of mask heads keeps false blobs away where a patch lacks the class?

Peer:   `dice: patch`, and `dice: penalty`, which is MONAI's smoothing.
Limit:  none. Printed for each: the IoU of the second class on test, the mean over the seeds, and the share of wrong
        pixels on test patches without it.

A small decoder on an untrained ResNet-18, on the demo's canvases, whose digits half of the patches lack, and on the
electron-microscope slices beside the repository (or at --data), whose patches all have both classes.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from common import PHOTOGRAPHS, benchmark_parser, report
from numpy.typing import NDArray
from PIL import Image

from unchoke.config.mask_heads import Decoder
from unchoke.encoders.encoder import CPU
from unchoke.mask_heads.ablation import train_members
from unchoke.mask_heads.batches import Held, in_order
from unchoke.mask_heads.head import predict
from unchoke.mask_heads.task import Task
from unchoke.metrics import iou as overlaps
from unchoke.sources.kinds.canvases import canvas_files, write_canvases

MEMBRANE = PHOTOGRAPHS.with_name("membrane")
SIZE = 128
MEAN, DEVIATION = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def patches_of(root: Path, name: str) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Every second patch of an image, with its mask of 0 and 1."""
    image = np.asarray(Image.open(root / f"images/{name}.png").convert("RGB"))
    mask = (np.asarray(Image.open(root / f"masks/{name}.png")) > 0).astype(np.uint8)
    corners = [(y, x) for y in range(0, len(mask), SIZE) for x in range(0, mask.shape[1], SIZE)]
    windows = [(slice(y, y + SIZE), slice(x, x + SIZE)) for y, x in corners if (y + x) // SIZE % 2 == 0]
    return [(image[window], mask[window]) for window in windows]


@torch.inference_mode()
def held(root: Path, names: list[str]) -> Held:
    """Feature maps and labels of some images."""
    image_N, label_N = zip(*(patch for name in names for patch in patches_of(root, name)), strict=True)
    torch.manual_seed(0)
    model = timm.create_model("resnet18", pretrained=False, features_only=True, out_indices=(1, 2)).eval()
    pixels = torch.from_numpy(np.stack(image_N)).permute(0, 3, 1, 2).float() / 255
    parts = [model(part) for part in ((pixels - MEAN) / DEVIATION).split(16)]
    s4, s8 = (torch.cat([part[place] for part in parts]).half().numpy() for place in (0, 1))
    return Held({"s4": s4.shape[1], "s8": s8.shape[1]}, {"s4": 4, "s8": 8}, {"s4": s4, "s8": s8}, np.stack(label_N))


def worth(module: torch.nn.Module, test: Held) -> tuple[float, float]:
    """IoU of the second class, and the share of wrong pixels on patches without it."""
    counts_KK, wrong = np.zeros((2, 2), np.int64), []
    for batch in in_order(test, 16):
        found = predict([module], batch.maps).argmax(1)
        counts_KK += overlaps.counts_of(batch.label, found, 2)
        wrong += [(one == 1).mean() for label, one in zip(batch.label, found, strict=True) if not label.any()]
    return float(overlaps.iou(counts_KK)[1]), float(np.mean(wrong)) if wrong else float("nan")


def compare(args: argparse.Namespace, root: Path, names: list[str], width: int, epochs: int) -> list[list[str]]:
    """A line for each loss and each Dice."""
    order = np.random.default_rng(0).permutation(names).tolist()
    first, second = int(0.66 * len(order)), int(0.66 * len(order)) + int(0.17 * len(order))
    train, val, test = (held(root, part) for part in (order[:first], order[first:second], order[second:]))
    lines = []
    for loss in ("dice", "cross_entropy+dice"):
        for dice in ("batch", "patch", "penalty"):
            given = {"width": width, "epochs": epochs, "learning_rates": [0.01], "seeds": list(range(args.seeds))}
            section = Decoder(kind="decoder", loss=loss, dice=dice, **given)
            settings = {**section.model_dump(), "choose_by": "mean_iou"}
            head = train_members(Task(train, val, settings, 2, CPU, data_sha256=""))
            iou, wrong = np.mean([worth(module, test) for module in head.modules()], 0)
            lines.append([root.name, f"{epochs}", loss, dice, f"{iou:.3f}", f"{wrong:.2%}"])
    return lines


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="seeds of each")
    parser.add_argument("--canvases", type=Path, default=Path("resources/canvases"), help="folder of the canvases")
    args = parser.parse_args()
    membrane = MEMBRANE if args.data == PHOTOGRAPHS else args.data
    torch.set_num_threads(1)
    if not args.canvases.exists():
        write_canvases(args.canvases)
    sound = [Path(name).stem for name in canvas_files() if name.startswith("images/")]
    names = sorted((name for name in sound if name.isdigit()), key=int)
    table = [["data", "epochs", "loss", "dice", "test IoU", "wrong without it"]]
    table += compare(args, args.canvases, names, 16, 20)
    if membrane.is_dir():
        slices = sorted((path.stem for path in (membrane / "images").glob("*.png")), key=int)
        table += compare(args, membrane, slices, 8, 4)
    return report(args, table, [], {"lines": table[1:]})


if __name__ == "__main__":
    sys.exit(main())
