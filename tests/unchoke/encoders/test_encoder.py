"""Encoders against timm itself: the same pixels in, the same features out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file

from unchoke.encoders.encoder import Encoder, load_encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.errors import UnchokeError
from unchoke.images.steps import FORWARD, NORMALISE, TO_DEVICE, Steps

SIZES = {"test_vit": 160, "test_resnet": 96, "test_efficientnet": 64, "swin_s3_tiny_224": 224}
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (231, 317, 3), dtype=np.uint8))


def load(folder: Path, model: str, size: int | None, pools: list[str]) -> Encoder:
    weights, card = folder / f"{model}.safetensors", folder / f"{model}.json"
    if not weights.exists():
        fetch_weights(model, "untrained", 0, weights, card)
    return load_encoder(weights, card, size, pools, torch.device("cpu"), "float16")


def reference(folder: Path, model: str, size: int) -> tuple[torch.nn.Module, torch.Tensor]:
    """timm's own model and transform of the picture."""
    own = timm.create_model(model, num_classes=0).eval()
    own.load_state_dict(load_file(folder / f"{model}.safetensors"))
    config = {**timm.data.resolve_model_data_config(own), "input_size": (3, size, size)}
    return own, timm.data.create_transform(**config)(PICTURE)[None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.mark.parametrize("model", SIZES)
def test_pools_are_those_of_timms_features(folder: Path, model: str) -> None:
    encoder = load(folder, model, SIZES[model], ["avg", "max", "head"])
    own, x = reference(folder, model, SIZES[model])
    with torch.inference_mode():
        raw, head = own.forward_features(x).double(), own(x)
    if model == "test_vit":
        places = raw[:, own.num_prefix_tokens :].flatten(1, -2)
    elif model.startswith("swin"):
        places = raw.flatten(1, 2)
    else:
        places = raw.flatten(2).transpose(1, 2)
    found = encoder.encode(encoder.preprocess()(PICTURE)[None])
    np.testing.assert_allclose(found["avg"], places.mean(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["max"], places.amax(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["head"], head, rtol=1e-4, atol=1e-5)


def test_the_class_token_is_the_first_token(folder: Path) -> None:
    encoder = load(folder, "test_vit", 160, ["cls"])
    own, x = reference(folder, "test_vit", 160)
    with torch.inference_mode():
        expected = own.forward_features(x)[:, 0]
    np.testing.assert_allclose(
        encoder.encode(encoder.preprocess()(PICTURE)[None])["cls"], expected, rtol=1e-4, atol=1e-5
    )


def test_a_vision_transformer_can_see_another_size(folder: Path) -> None:
    encoder = load(folder, "test_vit", 64, ["avg"])
    assert encoder.encode(encoder.preprocess()(PICTURE)[None])["avg"].shape == (1, 64)


def test_no_size_means_the_weights_own(folder: Path) -> None:
    assert load(folder, "test_vit", None, ["avg"]).image_size == 160


def test_a_pool_that_the_model_lacks_is_an_error(folder: Path) -> None:
    with pytest.raises(UnchokeError, match="no class token"):
        load(folder, "test_resnet", 64, ["cls"])


def test_a_size_that_the_patches_do_not_divide_is_an_error(folder: Path) -> None:
    encoder_size = 50
    with pytest.raises(UnchokeError, match="image_size 50"):
        load(folder, "test_vit", encoder_size, ["avg"])


def test_bytes_go_to_the_device_and_are_normalised_there(folder: Path) -> None:
    moved: list[tuple[str, torch.dtype]] = []

    class Noted(Steps):
        def take(self, step: str, function: Any, *args: Any, **kwargs: Any) -> Any:
            moved.append((step, args[0].dtype))
            return function(*args, **kwargs)

    encoder = replace(load(folder, "test_resnet", 32, ["avg"]), steps=Noted())
    encoder.encode(torch.zeros((2, 3, 32, 32), dtype=torch.uint8))
    assert moved == [(TO_DEVICE, torch.uint8), (NORMALISE, torch.uint8), (FORWARD, torch.float32)]
