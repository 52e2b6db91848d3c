"""How long do the masks of many small images take, with the jobs that make them?

Peer:   monai.inferers.sliding_window_inference with Gaussian weights and one window a patch, then arg-max and a PNG by
        Pillow. It is fed probabilities from memory, and writes neither an array, nor counts, nor digests.
Limit:  40 ms an image through the workflow, with the start of Snakemake, all its jobs and waiting for the disk.

334 street-like images of 480 × 360 px, two classes, patches of 256 px that overlap by 64: 2,004 patches. The head is a
linear one on an untrained test_resnet. Predictions are made beforehand, and their time is shown apart. In turn: the
workflow, which stitches and finishes all masks anew; the library alone, which does the same work in this process; and
MONAI's loop. Ours and torch work on one thread.

MONAI is not among the packages that Unchoke needs; this brings it:  pip install --no-deps monai
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from clones import EVERYTHING, Clone, temporary_clone, temporary_folder
from common import TIMING_HEADER, Limit, benchmark_parser, median_wall, report, time_in_turn, timing_cells
from PIL import Image

from unchoke.config.load import load_config
from unchoke.machine.receipts import read_json
from unchoke.stitching.batch import MaskPlaces, stitch_masks
from unchoke.stitching.stitch import PROBABILITY, mask_palette, stitchings_of
from unchoke.store.chunks import read_chunk
from unchoke.targets.masks import Masks, batch_files, prediction_files

HEIGHT, WIDTH, CLASSES = 360, 480, 2
SIZE, OVERLAP = 256, 64
NAME, PLACE = "streets", ("tiny", "linear")
PEER = "MONAI's loop"
OURS, ALONE = "workflow", "library alone"
LIMIT_MS = 40
CONFIG: dict[str, Any] = {
    "dataset": {"kind": "masks", "path": "streets"},
    "encoders": {"tiny": {"model": "test_resnet", "weights": "untrained", "strides": [4, 8]}},
    "mask_heads": {"linear": {"kind": "linear", "epochs": 1}},
    "evaluation": {"resamples": 100},
}


def draw_images(folder: Path, count: int) -> None:
    """Pictures with a bright lower part below a jagged line, and their masks: 255 below it."""
    rng = np.random.default_rng(0)
    y_H1 = np.arange(HEIGHT)[:, None]
    for number in range(count):
        split = ("train", "val", "test")[min(number // 8, 2)]  # few to train with: what is measured is not training
        line_W = HEIGHT / 2 + np.cumsum(rng.normal(0, 2, WIDTH))
        inside_HW = y_H1 > line_W
        grey_HW = np.clip(80 + 70 * inside_HW + rng.normal(0, 20, inside_HW.shape), 0, 255).astype(np.uint8)
        for kind, values_HW in (("images", grey_HW), ("masks", inside_HW * np.uint8(255))):
            path = folder / kind / split / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values_HW).save(path, compress_level=1)


def places_of(results: Path, stitched: Path) -> MaskPlaces:
    predictions = results / "predictions/tiny/linear.zarr"
    return MaskPlaces(predictions, results / "labels.zarr", stitched, stitched / "receipts")


def stitch_alone(results: Path, patches: dict[str, int], folder: Path) -> None:
    """The masks of all images in one call."""
    shutil.rmtree(folder, ignore_errors=True)
    grids = results / "grids.json"
    group = results / "heads/tiny.zarr/linear"
    images = stitchings_of(group, grids, sorted(read_json(grids), key=int), patches, "auto", False)
    made = stitch_masks(places_of(results, folder), images, folder / "batches/0.json")
    assert len(made) == len(images)


def stitch_by_workflow(clone: Clone, patches: dict[str, int]) -> None:
    """All masks anew, by the jobs of the workflow."""
    shutil.rmtree(clone.results(NAME) / "stitched", ignore_errors=True)
    cut = cut_as(clone, patches)
    make(clone, batch_files(*PLACE, range(len(cut.batches))))


def cut_as(clone: Clone, patches: dict[str, int]) -> Masks:
    """How the images are cut, and which share a job."""
    dataset = {**CONFIG["dataset"], "name": NAME}
    return Masks(
        load_config({**CONFIG, "dataset": dataset, "patches": patches}), read_json(clone.results(NAME) / "grids.json")
    )


def make(clone: Clone, files: Sequence[str]) -> None:
    """Have the workflow make files of results."""
    clone.snakemake(NAME, *(file.replace("<results>", f"results/{NAME}") for file in files), *EVERYTHING)


def stitch_by_peer(results: Path, folder: Path) -> Callable[[], None]:
    """MONAI's loop over images whose windows are already predicted."""
    from monai.inferers import sliding_window_inference

    chunks = len(list((results / "predictions/tiny/linear.chunks").iterdir()))
    store = results / "predictions/tiny/linear.zarr"
    pool_NKSS = torch.from_numpy(np.concatenate([read_chunk(store, number)[PROBABILITY] for number in range(chunks)]))
    grids, image_1CHW = read_json(results / "grids.json"), torch.zeros(1, 1, HEIGHT, WIDTH)
    palette = [value for colour in mask_palette(CLASSES) for value in colour]
    share = OVERLAP / SIZE
    folder.mkdir(exist_ok=True)

    def loop() -> None:
        for image, grid in grids.items():
            patch_NKSS = pool_NKSS[grid["first"] : grid["first"] + grid["rows"] * grid["columns"]].float()
            averages = sliding_window_inference(
                image_1CHW, SIZE, len(patch_NKSS), lambda _, found=patch_NKSS: found, share, "gaussian"
            )
            picture = Image.fromarray(averages[0].argmax(0).to(torch.uint8).numpy(), "P")
            picture.putpalette(palette)
            picture.save(folder / f"{image}.png")

    return loop


def prepare(clone: Clone, count: int, patches: dict[str, int]) -> None:
    """A trained head, and labels of all patches."""
    draw_images(clone.folder / "streets", count)
    clone.configure(NAME, **CONFIG, patches=patches)
    make(clone, ["<results>/heads/tiny.zarr/linear/zarr.json", "<results>/labels.zarr/zarr.json"])


def compare(args: argparse.Namespace, clone: Clone, folder: Path) -> int:
    patches = {"size": SIZE, "overlap": OVERLAP, "per_chunk": args.per_chunk}
    prepare(clone, args.images, patches)
    results, chunks = clone.results(NAME), cut_as(clone, patches).chunks
    predicted = time_in_turn({"prediction by the workflow": lambda: make(clone, prediction_files(*PLACE, chunks))}, 1)
    sides: dict[str, Callable[[], None]] = {
        OURS: lambda: stitch_by_workflow(clone, patches),
        ALONE: lambda: stitch_alone(results, patches, folder / "alone"),
    }
    if find_spec("monai"):
        sides[PEER] = stitch_by_peer(results, folder / "peer")
    else:
        print(f"{PEER} is left out: MONAI is not installed")
    times = time_in_turn(sides, args.rounds)
    table = [["", *TIMING_HEADER, "ms an image"]]
    for name, runs in {**predicted, **times}.items():
        table.append([name, *timing_cells(runs), f"{1000 * median_wall(runs) / args.images:.1f}"])
    found_ms = 1000 * median_wall(times[OURS]) / args.images
    limit = Limit("an image through the workflow", f"{found_ms:.1f} ms", f"{LIMIT_MS} ms", found_ms <= LIMIT_MS)
    return report(
        args, table, [limit], {"images": args.images, "per_chunk": args.per_chunk, "times": {**predicted, **times}}
    )


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--images", type=int, default=334, help="how many images")
    parser.add_argument("--per-chunk", type=int, default=16, help="patches in a chunk of predictions")
    parser.add_argument("--rounds", type=int, default=3, help="times that each side is measured")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        return compare(args, clone, folder)


if __name__ == "__main__":
    sys.exit(main())
