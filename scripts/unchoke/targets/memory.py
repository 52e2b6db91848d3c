"""How much memory jobs ask Snakemake for, MB of 2**20 bytes."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from unchoke.machine.limits import measured_peaks
from unchoke.machine.receipts import read_json

_TORCH_MB = 2000  # what a process takes that has imported torch
_WIDTH = 2048  # of the widest features that encoders commonly have
_POOLS = 3


def chunk_mb(plan: Path, shard_rows: int = 0) -> int:
    """Memory of the machine for one chunk: what planning, or compiling, took, and as much again for decoded pictures.

    plan: see ``limits.measured_peaks``. shard_rows: images of a shard, 0 where there are none: three times its
    features, in float16, are added. Raises FileNotFoundError where there is no plan yet.
    """
    compiling = plan.with_suffix(".compiling.json")
    compiling_mb = float(read_json(compiling)["host_mb"]) if compiling.exists() else 0.0
    taken_mb = max(float(measured_peaks(plan)["host_mb"]), compiling_mb)
    return round(2 * taken_mb + shard_rows * 3 * _POOLS * 2 * _WIDTH / 2**20)


def chunk_vram_mb(plan: Path) -> int:
    """Memory of the card for one chunk; plan: as in ``chunk_mb``."""
    measured = measured_peaks(plan)
    return round(measured["peak_mb"]) if measured["device"] == "cuda" else 0


def cache_mb(plan: Path | None, sizes: Path, cache: str, rows: int) -> int:
    """Memory of the machine for a chunk, or shard, of a cache: six bytes for each of two that its numbers take.

    plan: of the encoder, as in ``chunk_mb``; None for pixels. sizes: what ``plan_caches`` wrote. cache: its name in the
    view identity. rows: images at once. Raises FileNotFoundError where one is missing, or the size is not known yet.
    """
    known = read_json(sizes) if sizes.exists() else {}
    if cache not in known:
        raise FileNotFoundError(sizes)
    own = chunk_mb(plan, 0) if plan else _TORCH_MB
    return int(own + 12 * prod(known[cache]["shape"]) * rows // 2**20)


def head_mb(settings: Mapping[str, Any], seal: Path) -> int:
    """Memory of the machine for one head: all features thrice as they are computed with, and torch.

    settings: its section of the config. seal: of a store that it reads. Raises FileNotFoundError where there is none.
    """
    sealed = read_json(seal)
    views = max(len(settings["train_views"]), len(settings["test_views"]))
    size = 8 if settings.get("precision") == "float64" else 4
    return int(_TORCH_MB + 3 * size * sealed["images"] * sealed["widths"][settings["pool"]] * views // 2**20)


def listing_mb(config: Mapping[str, Any], settings: Mapping[str, Any], seal: Path) -> int:
    """Memory of the machine for the list of images to label: blocks of features in float64, and some numbers an image.

    settings: as ``targets.listing.listing_of`` gives them. seal: as for ``head_mb``.
    """
    if settings["how"] == "uncertain":
        return head_mb(config["heads"][settings["head"]], seal)
    sealed = read_json(seal)
    of_image = 100 + 80 * settings.get("k", 0)  # neighbours either way: places, cosines and links
    blocks = 8 * 4 * 8192 * sealed["widths"][settings["pool"]]
    return int(_TORCH_MB + (blocks + of_image * sealed["images"]) // 2**20)


def mask_head_mb(settings: Mapping[str, Any], patch_size: int) -> int:
    """Memory of the machine for one mask head: its patches, and torch with the activations of a batch.

    settings: its section of the config. patch_size: side of a patch, px; 512 numbers of float32 a pixel.
    """
    activations = settings["batch_size"] * patch_size**2 * 4 * 512
    return int(_TORCH_MB + settings["memory_mb"] + activations // 2**20)
