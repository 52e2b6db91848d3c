"""Pixels in the place of files: the same features to the last bit, or the files after all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_pictures import BROKEN, encoder_of, extract, extract_pixels, make_pictures, seal
from timm.data.transforms_factory import create_transform

from unchoke.encoders.preprocessing import transform_of
from unchoke.features import images
from unchoke.images.views import view_of
from unchoke.store import chunks

SIZE = ("--image-size", "32")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_pictures(tmp_path, "test_resnet", "test_vit")


def no_files(*_: object) -> None:
    raise AssertionError("a file is read")


def bytes_below(data: Path, store: str) -> dict[str, bytes]:
    """Every file of a sealed store whose bytes are promised."""
    folder = data / "features" / f"{store}.zarr"
    found = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return {**found, "seal": chunks.seal_file(folder).read_bytes()}


@pytest.mark.parametrize(("per_shard", "pools"), [(1, "avg"), (2, "last2")])
def test_features_of_pixels_are_those_of_files(
    data: Path, monkeypatch: pytest.MonkeyPatch, per_shard: int, pools: str
) -> None:
    extract(data, "one", "test_resnet", *SIZE, per_shard=per_shard, pools=pools)
    seal(data, "one")
    extract_pixels(data, "b~pixels", "test_resnet", *SIZE, per_shard=per_shard)
    with monkeypatch.context() as patch:
        patch.setattr(images, "open_images", no_files)
        extract(data, "two", "test_resnet", *SIZE, per_shard=per_shard, pools=pools)
    seal(data, "two")
    assert bytes_below(data, "one") == bytes_below(data, "two")
    one, two = (chunks.read_record(data / f"features/{name}.zarr", 0)["digests"] for name in ("one", "two"))
    assert one == two and len(one) > 1


def test_pixels_are_what_timm_makes_of_the_pictures(data: Path) -> None:
    """Independently: its transform of whole pictures, as an encoder sees them, and the middle of a resized one."""
    extract_pixels(data, "b~pixels", "test_vit", *SIZE)
    extract_pixels(data, "pixels~20", None, "--image-size", "20")
    config = encoder_of(data, "test_vit", 32).card["data_config"]
    steps = {
        "b~pixels": {"input_size": 32, **{key: config[key] for key in ("interpolation", "crop_pct", "crop_mode")}},
        "pixels~20": {"input_size": 20, "interpolation": "bicubic", "crop_pct": 1.0},
    }
    files = sorted((data / "images").rglob("*.png"))
    for name, asked in steps.items():
        store = seal(data, name)
        pixels_N3HW, transform = store.features("pixels"), create_transform(**asked, normalize=False)
        assert pixels_N3HW.dtype == np.uint8
        assert store.group["pixels"].metadata.dimension_names == ("image", "channel", "y", "x")
        assert [entry["image_id"] for entry in store.seal["invalid"]] == [BROKEN]
        for image_id, file in enumerate(files):
            if image_id != BROKEN:
                np.testing.assert_array_equal(pixels_N3HW[image_id], transform(Image.open(file)).numpy())


def of_another_size(data: Path) -> None:
    extract_pixels(data, "b~pixels", "test_resnet", "--image-size", "31")


def of_another_limit(data: Path) -> None:
    extract_pixels(data, "b~pixels", "test_resnet", *SIZE, "--max-pixels", "1000000")


def cropped_otherwise(data: Path) -> None:
    extract_pixels(data, "pixels~32", None, *SIZE)


def of_an_image_that_was_changed(data: Path) -> None:
    extract_pixels(data, "b~pixels", "test_resnet", *SIZE)
    for rows in (data / "rows").iterdir():
        rows.write_text(rows.read_text().replace(",1", ",2"))


def damaged(data: Path) -> None:
    extract_pixels(data, "b~pixels", "test_resnet", *SIZE)
    for chunk in range(3):
        file = chunks.chunk_file(data / "features/b~pixels.zarr", "pixels", chunk, 4)
        file.write_bytes(file.read_bytes()[:-1] + b"?")


def not_there_yet(data: Path) -> None:
    extract_pixels(data, "b~pixels", "test_resnet", *SIZE)
    for chunk in range(3):
        chunks.chunk_file(data / "features/b~pixels.zarr", "pixels", chunk, 4).unlink()


@pytest.mark.parametrize(
    "spoil",
    [of_another_size, of_another_limit, cropped_otherwise, of_an_image_that_was_changed, damaged, not_there_yet],
)
def test_files_are_read_where_pixels_are_others(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None]
) -> None:
    spoil(data)
    read, opened = [], images.open_images

    def count(*arguments: Any) -> Any:
        read.append(1)
        return opened(*arguments)

    monkeypatch.setattr(images, "open_images", count)
    extract(data, "one", "test_resnet", *SIZE)
    assert len(read) == 3
    said = "note: files are read, since pixels cannot be" in capsys.readouterr().out
    assert said == (spoil in (damaged, not_there_yet))


def test_other_views_are_of_files(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extract_pixels(data, "b~pixels", "test_resnet", *SIZE)
    monkeypatch.setattr(images, "open_images", no_files)
    with pytest.raises(AssertionError, match="a file is read"):
        extract(data, "flipped", "test_resnet", *SIZE, "--view", "hflip")


def test_a_flip_and_a_crop_change_places_only_where_the_rest_is_even() -> None:
    """Which is why views are of files: a store of pixels does not know how large the pictures were."""
    config = {"interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "center"}
    prepare = transform_of(32, config)
    rng, commutes = np.random.default_rng(0), {}
    for width in (64, 66, 68, 70):  # at 32 px they are 32 to 35 wide
        picture = Image.fromarray(rng.integers(0, 256, (64, width, 3), dtype=np.uint8))
        flipped = prepare(view_of("hflip", picture, 0))
        commutes[width // 2 - 32] = torch.equal(flipped, prepare(picture).flip(-1))
    assert commutes == {0: True, 1: False, 2: True, 3: False}
