"""Activations at a cut: with the last blocks behind them they are the model, and another cut is another store."""

from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from PIL import Image
from safetensors.torch import load_file
from small_pictures import BROKEN, SIDES, encoder_of, extract, make_pictures, seal
from timm import create_model

from unchoke.encoders.activations import activations_at, stored_shape
from unchoke.encoders.cut import Cut, cut_network
from unchoke.encoders.encoder import resize
from unchoke.errors import UnchokeError
from unchoke.store import chunks

# Model, image size, blocks, and the axes of an image.
MODELS = {
    "test_resnet": (32, 2, ["channel", "y", "x"]),
    "test_vit": (32, 1, ["token", "one", "feature"]),
    "test_efficientnet": (33, 3, ["channel", "y", "x"]),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pictures(tmp_path_factory.mktemp("data"), *MODELS)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_last_blocks_make_the_models_output_of_stored_activations(data: Path, model: str, dtype: str) -> None:
    size, blocks, dimensions = MODELS[model]
    name = f"{model}~last{blocks}-{dtype}"
    extract(data, name, model, "--image-size", f"{size}", "--dtype", dtype, pools=f"last{blocks}")
    store = seal(data, name)
    whole = create_model(model, num_classes=0).eval()
    whole.load_state_dict(load_file(data / f"{model}.safetensors"))
    resize(whole, size)
    encoder = encoder_of(data, model, size)
    usable = [image_id for image_id in range(len(SIDES)) if image_id != BROKEN]
    files = sorted((data / "images").rglob("*.png"))
    pictures = [encoder.preprocess()(Image.open(files[image_id])) for image_id in usable]
    x = encoder.normalise(torch.stack(pictures).float().div_(255))
    expected = whole(x).detach()
    trained = cut_network(whole, blocks, size).trained
    stored = store.features("activations")[usable].astype(np.float32)
    found = trained(torch.from_numpy(stored).reshape(len(usable), *store.seal["settings"]["shape"])).detach()
    error = float((found - expected).abs().max() / expected.abs().max())
    assert error < (5e-3 if dtype == "float16" else 1e-5)
    metadata = zarr.open_group(store.path, mode="r")["activations"].metadata
    assert list(metadata.dimension_names) == ["image", *dimensions]
    assert store.valid().tolist() == [image_id != BROKEN for image_id in range(len(SIDES))]
    assert not store.features("activations")[BROKEN].any()


def test_a_store_says_where_it_was_cut_and_no_chunk_of_another_cut_is_sealed_with_it(data: Path) -> None:
    extract(data, "cut", "test_resnet", "--image-size", "32", pools="last2")
    settings = seal(data, "cut").seal["settings"]
    assert (settings["blocks"], settings["shape"]) == (2, [48, 4, 4])
    for other in (("test_resnet", "last3"), ("test_resnet", "last2", "--image-size", "40")):
        extract(data, "other", other[0], "--image-size", "32", *other[2:], pools=other[1])
        for file in (chunks.record_file, lambda store, chunk: chunks.chunk_file(store, "activations", chunk, 4)):
            source, target = (file(data / "features" / f"{name}.zarr", 1) for name in ("other", "cut"))
            target.write_bytes(source.read_bytes())
        with pytest.raises(UnchokeError, match="Chunk 1 of cut is missing or changed"):
            seal(data, "cut")


@pytest.mark.parametrize(
    ("shape", "stored"),
    [((5,), (1, 1, 5)), ((7, 5), (7, 1, 5)), ((3, 7, 5), (3, 7, 5)), ((2, 3, 7, 5), (6, 7, 5))],
)
def test_three_axes_hold_an_image_whatever_its_shape(shape: tuple[int, ...], stored: tuple[int, ...]) -> None:
    assert stored_shape(shape) == stored


def test_axes_are_named_as_the_model_has_them() -> None:
    model = torch.nn.Identity()
    assert activations_at(Cut(1, "", (8, 4, 4)), model).dimensions == ("channel", "y", "x")
    model.output_fmt = "NHWC"  # as timm says it of Swin
    assert activations_at(Cut(1, "", (4, 4, 8)), model).dimensions == ("y", "x", "channel")
