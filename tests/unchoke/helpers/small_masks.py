"""A dataset's folder of results with mask heads that were never trained, their predictions and their scores."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from small_results import fake_seal

from unchoke import versions
from unchoke.files import json_bytes, write_atomic
from unchoke.hashing import sha256_bytes
from unchoke.metrics import iou
from unchoke.metrics.evaluation import Figure
from unchoke.signed import signed_bytes
from unchoke.store import chunks, tables
from unchoke.store.zarr_bytes import MemoryGroup, create_array, place_group

CLASSES = {"background": [0], "disc": [7]}
ENCODER = {"model": "m", "trained": False, "weights_sha256": "0" * 64, "image_size": 256, "pools": ["s4", "s8"]}
HEIGHT, WIDTH = 200, 300
SPLITS = ["train", "val", *["test"] * 4]
PER_CHUNK = 4
STEP = 192
SECONDS = [3.5, 6.0, 8.5, 11.0, 12.5]
SETTINGS = {
    "kind": "linear",
    "learning_rates": [1e-3, 1e-2],
    "weight_decays": [0.0],
    "seeds": [0, 1],
    "keep": "best",
    "epochs": 5,
    "loss": "dice",
}


def truth_of(image_id: int, radius_px: float = 50) -> NDArray[np.uint8]:
    """A disc whose place depends on the image, uint8 (H, W) of the places of classes."""
    y_H1, x_1W = np.ogrid[:HEIGHT, :WIDTH]
    return ((y_H1 - 90 - 4 * image_id) ** 2 + (x_1W - 110 - 15 * image_id) ** 2 < radius_px**2).astype(np.uint8)


def predicted_of(image_id: int, shift_px: int) -> NDArray[np.uint8]:
    """The truth, moved to the right; the farther, the later the image."""
    return np.roll(truth_of(image_id), shift_px * image_id // 2, axis=1)


def write_dataset(root: Path, results: Path, groups: list[str] | None = None) -> None:
    """Six images of 200 × 300 px with their masks, and the tables of them and of their patches, two an image."""
    for image_id in range(len(SPLITS)):
        truth_HW = truth_of(image_id)
        grain_HW = np.random.default_rng(image_id).normal(0, 15, truth_HW.shape)
        picture_HW = np.clip(90 + 70 * truth_HW + grain_HW + np.linspace(-30, 30, WIDTH), 0, 255).astype(np.uint8)
        _write_picture(root / f"images/{image_id}.png", picture_HW)
        _write_picture(root / f"masks/{image_id}.png", truth_HW * np.uint8(7))
    images = [
        (image_id, f"images/{image_id}.png", "mask", split, group, 1, 1, "")
        for image_id, (split, group) in enumerate(zip(SPLITS, groups or [""] * len(SPLITS), strict=True))
    ]
    write_atomic(results / "manifest.csv", tables.table_bytes(tables.MANIFEST_COLUMNS, images))
    sides = {"height": HEIGHT, "width": WIDTH, "rows": 1, "columns": 2}
    grids = {str(image_id): {"first": 2 * image_id, "split": split, **sides} for image_id, split in enumerate(SPLITS)}
    write_atomic(results / "grids.json", json_bytes(grids))
    patches = [(p, p // 2, 0, STEP * (p % 2), f"masks/{p // 2}.png", 1, 1) for p in range(2 * len(SPLITS))]
    for chunk in range(len(patches) // PER_CHUNK):
        rows = patches[chunk * PER_CHUNK : (chunk + 1) * PER_CHUNK]
        write_atomic(results / f"mask_rows/{chunk}.csv", tables.table_bytes(tables.PATCH_ROW_COLUMNS, rows))


def _write_picture(path: Path, values_HW: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values_HW).save(path)


def add_mask_head(
    results: Path,
    name: str,
    *,
    encoder: str = "tiny",
    features: dict[str, Any] = ENCODER,
    shift_px: int = 4,
    scored: bool = True,
    **facts: Any,
) -> None:
    """A head whose predictions are discs moved to the right, with stitched masks and scores; val is its image 1."""
    store = chunks.seal_file(results / f"features/{encoder}.zarr")
    of_pixels = encoder == "pixels"
    if not of_pixels:
        invalid = [{"image_id": 9, "reason": "broken"}] * 2  # once for each of its chunks
        write_atomic(store, fake_seal(images=12, invalid=invalid))
    facts = {
        "version": versions.MASK_HEADS,
        "settings": SETTINGS,
        "classes": list(CLASSES),
        "encoder": None if of_pixels else features,
        "features_sha256": {} if of_pixels else {"identity": sha256_bytes(store.read_bytes())},
        "labels_sha256": "0" * 64,
        "chosen": {"learning_rate": 1e-2, "weight_decay": 0.0},
        "history": {"learning_rate": [1e-3, 1e-2], "weight_decay": [0.0, 0.0], "val_iou": [0.6, 0.8]},
        "replicates": 2,
        "patches": {"train": 2, "val": 2},
        "reach_px": 21,
        "checkpoint_sha256": sha256_bytes(name.encode()),
        **facts,
    }
    group = MemoryGroup(facts)
    for curve, values in curves_of(5).items():
        group.root.create_array(f"curves/{curve}", data=values)
    place_group(group.contents(), results / f"heads/{encoder}.zarr" / name)
    write_atomic(results / f"checkpoints/{encoder}/{name}.safetensors", name.encode())
    run = {"seconds": 12.5, "epoch_seconds": SECONDS, "environment": {"torch": "2"}}
    write_atomic(results / f"runs/{encoder}/{name}.json", signed_bytes(run))
    if scored:
        predicted = {image_id: predicted_of(image_id, shift_px) for image_id in range(len(SPLITS))}
        write_predictions(results, encoder, name, predicted)


def curves_of(epochs: int) -> dict[str, NDArray[np.float32]]:
    """Loss and mean IoU of two settings and two seeds."""
    epoch_E = np.arange(1, epochs + 1, dtype=np.float32)[:, None, None]
    rate_L, seed_S = np.array([0.3, 0.9])[:, None], np.array([0.0, 0.03])
    loss_ELS = np.exp(-rate_L * epoch_E) + seed_S
    curves = {"train_loss": loss_ELS, "val_iou": 0.9 - 0.6 * loss_ELS}
    return {name: values.astype(np.float32) for name, values in curves.items()}


def write_predictions(results: Path, encoder: str, name: str, predicted: dict[int, NDArray[np.uint8]]) -> None:
    """Stitched masks, and the scores that follow from them."""
    images = {}
    for image_id, mask_HW in predicted.items():
        group = MemoryGroup()
        create_array(group.root, "mask", mask_HW.shape, (STEP, WIDTH), mask_HW.dtype)[...] = mask_HW
        place_group(group.contents(), results / f"stitched/{encoder}/{name}/{image_id}.zarr")
        counts_KK = iou.counts_of(truth_of(image_id), mask_HW, len(CLASSES))
        seams = {"differ_px": image_id, "shared_px": 1000, "unread_px": 0}
        images[str(image_id)] = {"split": SPLITS[image_id], "counts": counts_KK.tolist(), **seams}
    scores = {
        "classes": list(CLASSES),
        "blend": "crop",
        "exact": True,
        "reach_px": 21,
        "halo_px": 32,
        "images": images,
        "figures": {split: figures_of(images, split) for split in ("val", "test")},
    }
    write_atomic(results / f"scores/{encoder}/{name}.json", signed_bytes(scores))


def figures_of(images: dict[str, Any], split: str) -> dict[str, dict[str, float | None]]:
    """The figures of the scores, without groups."""
    counts_IKK = np.array([image["counts"] for image in images.values() if image["split"] == split])
    found = iou.summarise(counts_IKK, None)
    regions = {
        f"{name}.{label}": figure
        for name, figures in found.per_class.items()
        for label, figure in zip(CLASSES, figures, strict=True)
    }
    return {name: _plain(figure) for name, figure in (found.figures | regions).items()}


def _plain(figure: Figure) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in vars(figure).items()}
