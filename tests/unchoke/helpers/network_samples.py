"""Light and dark JPEGs, one of them broken, and a network to be trained on them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from unchoke.config.networks import Network
from unchoke.encoders.weights import fetch_weights
from unchoke.features.chunk import Extraction
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.pipelines.compare import draw_sample, work_on
from unchoke.pipelines.network_work import NetworkWork
from unchoke.store.tables import MANIFEST_COLUMNS, read_table

PER_CLASS = 32


def network_work(folder: Path, **settings: Any) -> NetworkWork:
    """All images of train and val."""
    rng = np.random.default_rng(0)
    for label, level in (("dark", 100), ("light", 150)):
        (folder / "images" / label).mkdir(parents=True)
        for number in range(PER_CLASS):
            pixels = (level + rng.integers(-90, 90, (40, 50, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / label / f"{number}.jpg")
    (folder / "images/dark/broken.jpg").write_text("no picture")
    split = SplitSettings(seed=0, val=0.3, test=0.1)
    build_manifest("folder", folder / "images", None, split, 16, folder / "manifest.csv", folder / "rows")
    fetch_weights("test_resnet", "untrained", 0, folder / "weights.safetensors", folder / "card.json")
    given = folder / "weights.safetensors", folder / "card.json", 32, "avg", "cpu", "float32"
    network = Network(encoder="e", **settings).model_dump()
    fixed = "folder", folder / "images", pd.DataFrame(), *given, Extraction(16, 8), 1, folder / "scratch"
    work = NetworkWork(*fixed, name="n", network=network).with_keys({})
    return work_on(work, draw_sample(manifest_of(work), 1000, 0))  # type: ignore[return-value]


def manifest_of(work: NetworkWork) -> pd.DataFrame:
    """Of all images."""
    return read_table(work.root.parent / "manifest.csv", MANIFEST_COLUMNS)
