"""A folder of photographs, brought to a sealed store of features in this process."""

import random
from dataclasses import dataclass, replace
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import torch
from common import CORES
from PIL import Image

from unchoke.encoders.encoder import Encoder, load_encoder
from unchoke.encoders.lanes import lanes_within
from unchoke.encoders.weights import fetch_weights
from unchoke.features.chunk import Extraction, save_chunk
from unchoke.features.images import extract_chunk
from unchoke.images.steps import PLAIN, Steps
from unchoke.machine.receipts import read_json
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.sources.source import list_images
from unchoke.store import tables
from unchoke.store.seal import seal_store

CHUNK_SIZE = 64
LARGE_PX = 1000


@dataclass(frozen=True)
class Photographs:
    """A folder of photographs, ready to be extracted."""

    root: Path
    manifest: Path
    rows: Path
    weights: Path
    card: dict[str, Any]
    encoder: Encoder

    @property
    def paths(self) -> list[Path]:
        """Every photograph, in the order of the manifest."""
        return [self.root / path for path in tables.read_table(self.manifest, tables.MANIFEST_COLUMNS)["path"]]


def prepare(data: Path, folder: Path, model: str, image_size: int) -> Photographs:
    """Manifest, untrained weights and encoder on the CPU; torch computes on every core."""
    torch.set_num_threads(CORES)
    manifest, rows, weights, card = (folder / name for name in ("manifest.csv", "rows", "w.safetensors", "w.json"))
    build_manifest("folder", data, None, SplitSettings(0, 0.15, 0.15), CHUNK_SIZE, manifest, rows)
    fetch_weights(model, "untrained", 0, weights, card)
    encoder = load_encoder(weights, card, image_size, ["avg"], torch.device("cpu"), "float32")
    return Photographs(data, manifest, rows, weights, read_json(card), encoder)


def extract_chunks(
    photographs: Photographs, store: Path, micro_batch: int, n_chunks: int, steps: Steps = PLAIN
) -> None:
    """The first `n_chunks` chunks, as the command extract_chunk makes them. steps: what takes their steps."""
    settings, encoder = Extraction(CHUNK_SIZE, micro_batch), replace(photographs.encoder, steps=steps)
    lanes = lanes_within(CORES, encoder, settings.batches, CORES)
    for chunk in range(n_chunks):
        rows_file = photographs.rows / f"{chunk}.csv"
        rows = tables.read_table(rows_file, tables.ROW_COLUMNS)
        features = extract_chunk(rows, photographs.root, encoder, settings, CORES, steps=steps, lanes=lanes)
        save_chunk(store, chunk, rows_file, features, encoder, settings)


def extract_store(photographs: Photographs, store: Path, micro_batch: int = 32, steps: Steps = PLAIN) -> None:
    """Every chunk, and the seal."""
    extract_chunks(photographs, store, micro_batch, len(list(photographs.rows.iterdir())), steps)
    seal_store(store, photographs.manifest, photographs.rows)


def repeated_set(data: Path, folder: Path, n_images: int) -> Path:
    """Links to the photographs of at most LARGE_PX, in a drawn order under new names, their class folders kept."""
    files = sorted(data / image.path for image in list_images("folder", data).images)
    small = [file for file in files if max(Image.open(file).size) <= LARGE_PX]
    random.Random(0).shuffle(small)  # so that few chunks have every class too
    rounds = (file for turn in repeat(small) for file in turn)
    for number, file in enumerate(islice(rounds, n_images)):
        link = folder / file.parent.relative_to(data) / f"{number:06}-{file.name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    return folder
