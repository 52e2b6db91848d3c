"""A few pictures of odd and even sizes, one of them broken, and stores that the commands make of them."""

import importlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from unchoke.encoders.encoder import Encoder, load_encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.files import write_atomic
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.names import MAX_PIXELS
from unchoke.signed import signed_bytes
from unchoke.store.read import FeatureStore, open_complete
from unchoke.store.seal import seal_store
from unchoke.store.tables import rows_files

SIDES = ((48, 48), (61, 40), (40, 61), (33, 50), (97, 64), (64, 95), (57, 57), (120, 41), (45, 80), (50, 50))
BROKEN = 6
"""image_id of the file that holds no picture."""
PER_CHUNK = 4


def make_pictures(folder: Path, *models: str) -> Path:
    """Smooth random pictures in two classes, their manifest in three chunks, and untrained weights of models."""
    rng = np.random.default_rng(0)
    for number, sides in enumerate(SIDES):
        file = folder / "images" / f"{number % 2}" / f"{number // 2}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
        small.resize(sides, Image.Resampling.BICUBIC).save(file)
    broken = sorted((folder / "images").rglob("*.png"))[BROKEN]
    broken.write_bytes(broken.read_bytes()[:60])
    split = SplitSettings(seed=0, val=0.2, test=0.2)
    build_manifest("folder", folder / "images", None, split, PER_CHUNK, folder / "manifest.csv", folder / "rows")
    write_atomic(folder / "plan.json", signed_bytes({"micro_batch": 3}))
    peaks = {"micro_batch": 3, "peak_mb": 400.0, "peaks_mb": {"1": 390.0}, "budget_mb": 1000, "host_mb": 400.0}
    write_atomic(folder / "plan.peaks.json", signed_bytes({**peaks, "device": "cpu"}))
    for model in models:
        fetch_weights(model, "untrained", 0, folder / f"{model}.safetensors", folder / f"{model}.json")
    return folder


def flags(data: Path, store: str, chunk: int, per_shard: int = 1) -> list[str]:
    """Those that both commands have."""
    rows = map(str, rows_files(data / "rows", chunk, per_shard))
    found = ["--rows", *rows, "--root", f"{data}/images", "--chunk-size", f"{PER_CHUNK}", "--chunk", f"{chunk}"]
    found += ["--kind", "folder", "--max-pixels", f"{MAX_PIXELS}", "--jpeg-draft", "False"]
    return [*found, "--chunks-per-shard", f"{per_shard}", "--store", f"{data}/features/{store}.zarr"]


def extract(data: Path, store: str, model: str, *more: str, per_shard: int = 1, pools: str = "avg") -> None:
    """Every chunk of a store of features or activations."""
    for chunk in range(-(-3 // per_shard)):
        source = ["--weights", f"{data}/{model}.safetensors", "--card", f"{data}/{model}.json", "--pools", pools]
        source += ["--precision", "float16", "--dtype", "float16", "--view", "identity"]
        plan = ["--plan", f"{data}/plan.json", "--device", "cpu", "--vram-mb", "1000", "--threads", "1"]
        importlib.import_module("extract_chunk").main([*flags(data, store, chunk, per_shard), *source, *plan, *more])


def extract_pixels(data: Path, store: str, model: str | None, *more: str, per_shard: int = 1) -> None:
    """Every chunk of a store of pixels; None: as networks without an encoder see them."""
    card = ["--card", f"{data}/{model}.json"] if model else []
    for chunk in range(-(-3 // per_shard)):
        importlib.import_module("extract_pixels").main([*flags(data, store, chunk, per_shard), *card, *more])


def seal(data: Path, store: str) -> FeatureStore:
    """The store, sealed and opened."""
    path = data / "features" / f"{store}.zarr"
    seal_store(path, data / "manifest.csv", data / "rows")
    return open_complete(path)


def encoder_of(data: Path, model: str, image_size: int | None, pools: str = "avg") -> Encoder:
    """The encoder on the CPU."""
    cpu = torch.device("cpu")
    return load_encoder(data / f"{model}.safetensors", data / f"{model}.json", image_size, [pools], cpu, "float32")
