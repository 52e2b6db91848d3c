"""What networks are trained on: the usable images of stores, in any order, of their own cut, weights and transform."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_pictures import BROKEN, SIDES, extract, extract_pixels, make_pictures, seal

from unchoke.encoders.weights import fetch_weights
from unchoke.errors import UnchokeError
from unchoke.networks.sources import Sources, add_network_flags, open_sources
from unchoke.store.tables import MANIFEST_COLUMNS, read_table

CUT = {"encoder": "tiny", "blocks": 1, "cache": "activations"}
VIEWS = {"train_views": ["hflip", "identity"], "test_views": ["identity"]}
ONE_VIEW = {"train_views": ["identity"], "test_views": ["identity"]}
WHOLE = {"encoder": "tiny", "blocks": "all", "cache": "activations", **ONE_VIEW}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = make_pictures(tmp_path_factory.mktemp("data"), "test_vit")
    for view in ("identity", "hflip"):
        extract(data, f"tiny@{view}", "test_vit", "--image-size", "32", "--view", view, pools="last1")
        seal(data, f"tiny@{view}")
    extract_pixels(data, "tiny~pixels", "test_vit", "--image-size", "32")
    extract_pixels(data, "pixels~32", None, "--image-size", "32")
    for store in ("tiny~pixels", "pixels~32"):
        seal(data, store)
    fetch_weights("test_vit", "untrained", 1, data / "other.safetensors", data / "other.json")
    return data


def sources(data: Path, settings: dict[str, Any], *stores: str, weights: str = "test_vit") -> Sources:
    """As the commands that train have them."""
    parser = argparse.ArgumentParser()
    add_network_flags(parser)
    flags = ["--stores", *(f"{data}/features/{store}.zarr" for store in stores), "--manifest", f"{data}/manifest.csv"]
    if settings.get("encoder"):
        flags += ["--weights", f"{data}/{weights}.safetensors", "--card", f"{data}/{weights}.json"]
    return open_sources(parser.parse_args([*flags, "--settings", json.dumps(settings)]))


def test_every_usable_image_is_in_its_split_with_its_label(data: Path) -> None:
    found = sources(data, {**CUT, **VIEWS}, "tiny@identity", "tiny@hflip")
    frame = read_table(data / "manifest.csv", MANIFEST_COLUMNS).set_index("image_id")
    ids = np.concatenate([images.image_id_N for images in found.images.values()])
    assert sorted(ids) == [image_id for image_id in range(len(SIDES)) if image_id != BROKEN]
    for name, images in found.images.items():
        rows = frame.loc[images.image_id_N]
        assert set(rows["split"]) == {name}
        assert [found.classes[label] for label in images.label_N] == rows["label"].tolist()
        assert images.views == (2 if name == "train" else 1)


def test_images_come_in_the_order_and_the_view_asked_for(data: Path) -> None:
    """As they lie in the whole arrays, with the axes that the network has: (tokens, features)."""
    found = sources(data, {**CUT, **VIEWS}, "tiny@identity", "tiny@hflip")
    images = found.images["train"]
    whole_VN = [found.stores[view].features("activations") for view in VIEWS["train_views"]]

    @given(st.lists(st.tuples(st.integers(0, len(images.image_id_N) - 1), st.integers(0, 1)), min_size=1, max_size=12))
    def check(asked: list[tuple[int, int]]) -> None:
        place_B, view_B = np.array(asked).T
        read = images.read(place_B, view_B)
        assert read.dtype == np.float16
        for row, (place, view) in zip(read, asked, strict=True):
            np.testing.assert_array_equal(row, whole_VN[view][images.image_id_N[place]][:, 0])

    check()
    assert not np.array_equal(whole_VN[0], whole_VN[1])


def test_pixels_are_read_as_bytes(data: Path) -> None:
    found = sources(data, WHOLE, "tiny~pixels")
    images, whole = found.images["train"], found.stores["identity"].features("pixels")
    place_B = np.arange(len(images.image_id_N))[::-1]
    read = images.read(place_B, np.zeros_like(place_B))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, whole[images.image_id_N[::-1]])


@pytest.mark.parametrize(
    ("settings", "store", "weights", "found"),
    [
        ({**CUT, **ONE_VIEW, "blocks": 2}, "tiny@identity", "test_vit", "blocks 1"),
        ({**CUT, **ONE_VIEW}, "tiny@identity", "other", "weights_sha256"),
        ({**CUT, **ONE_VIEW}, "tiny~pixels", "test_vit", "weights_sha256 None, blocks None"),
        (WHOLE, "tiny@identity", "test_vit", "transform None"),
        (WHOLE, "pixels~32", "test_vit", r"transform .*'crop_pct': 1\.0"),
        ({**WHOLE, "encoder": None, "model": "small_cnn"}, "tiny~pixels", "", "transform .*'crop_pct': 0"),
    ],
)
def test_the_cache_of_another_network_is_refused(
    data: Path, settings: dict[str, Any], store: str, weights: str, found: str
) -> None:
    with pytest.raises(UnchokeError, match=rf"(?s)not one that this network can.*found: +{found}.*{store}"):
        sources(data, settings, store, weights=weights)


def test_a_network_without_encoder_has_its_own_pixels(data: Path) -> None:
    assert sources(data, {**WHOLE, "encoder": None, "model": "small_cnn"}, "pixels~32").facts["image_size"] == 32
