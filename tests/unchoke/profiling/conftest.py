"""A small encoder and a few pictures."""

import numpy as np
import pytest
import torch
from PIL import Image
from slow_steps import COUNT, THREADS

from unchoke.encoders.encoder import Encoder, load_encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.profiling.sample import Images


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tmp_path_factory.mktemp("encoder")
    weights, card = folder / "w.safetensors", folder / "card.json"
    fetch_weights("test_resnet", "untrained", 0, weights, card)
    return load_encoder(weights, card, 32, ["avg"], torch.device("cpu"), "float32")


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Images:
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(COUNT):
        Image.fromarray(random.integers(0, 255, (40, 40, 3), np.uint8)).save(folder / f"{number:02}.png")
    return Images("folder", folder, sorted(path.name for path in folder.iterdir()), THREADS)
