"""Images of networks in stores: those that may be used, in the views asked for, in any order."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_pictures import BROKEN, SIDES, encoder_of, extract, extract_pixels, make_pictures, seal

from unchoke.encoders.pixels import transform_facts
from unchoke.errors import UnchokeError
from unchoke.networks.stored import StoredImages, refuse_other_cache, split_images
from unchoke.store.read import FeatureStore, open_views
from unchoke.store.tables import MANIFEST_COLUMNS, read_table

SETTINGS = {"train_views": ["hflip", "identity"], "test_views": ["identity"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = make_pictures(tmp_path_factory.mktemp("data"), "test_vit")
    for view in ("identity", "hflip"):
        extract(data, f"tiny@{view}", "test_vit", "--image-size", "32", "--view", view, pools="last1")
        seal(data, f"tiny@{view}")
    extract_pixels(data, "tiny~pixels", "test_vit", "--image-size", "32")
    seal(data, "tiny~pixels")
    return data


def opened(data: Path) -> dict[str, FeatureStore]:
    return open_views([data / f"features/tiny@{view}.zarr" for view in ("identity", "hflip")])


def split(data: Path) -> tuple[list[str], dict[str, StoredImages]]:
    return split_images(opened(data), read_table(data / "manifest.csv", MANIFEST_COLUMNS), SETTINGS)


def test_every_usable_image_is_in_its_split_with_its_label(data: Path) -> None:
    classes, images = split(data)
    assert classes == ["0", "1"]
    frame = read_table(data / "manifest.csv", MANIFEST_COLUMNS)
    assert sorted(np.concatenate([part.image_id_N for part in images.values()])) == [
        image_id for image_id in range(len(SIDES)) if image_id != BROKEN
    ]
    for name, part in images.items():
        rows = frame.set_index("image_id").loc[part.image_id_N]
        assert set(rows["split"]) == {name}
        assert [classes[label] for label in part.label_N] == rows["label"].tolist()
        assert part.views == (2 if name == "train" else 1)


def test_images_come_in_the_order_and_the_view_asked_for(data: Path) -> None:
    """As they lie in the whole arrays: 17 tokens of 64 numbers or so, whatever axes the store gives them."""
    images, stores = split(data)[1]["train"], opened(data)
    whole_VN = [stores[view].features("activations") for view in SETTINGS["train_views"]]
    assert images.shape == (whole_VN[0].shape[1], whole_VN[0].shape[3])

    @given(st.lists(st.tuples(st.integers(0, len(images) - 1), st.integers(0, 1)), min_size=1, max_size=12))
    def check(asked: list[tuple[int, int]]) -> None:
        place_B, view_B = np.array(asked).T
        found = images.read(place_B, view_B)
        assert found.dtype == np.float16
        for row, (place, view) in zip(found, asked, strict=True):
            np.testing.assert_array_equal(row, whole_VN[view][images.image_id_N[place]][:, 0])

    check()
    assert not np.array_equal(whole_VN[0], whole_VN[1])


def test_pixels_are_read_as_bytes_in_one_view(data: Path) -> None:
    manifest, settings = read_table(data / "manifest.csv", MANIFEST_COLUMNS), {**SETTINGS, "train_views": ["identity"]}
    store = open_views([data / "features/tiny~pixels.zarr"])
    images = split_images(store, manifest, settings)[1]["train"]
    assert images.shape == (3, 32, 32)
    place_B = np.arange(len(images))[::-1]
    found = images.read(place_B)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, store["identity"].features("pixels")[images.image_id_N[::-1]])


def test_a_view_that_has_no_store_is_named(data: Path) -> None:
    manifest, settings = read_table(data / "manifest.csv", MANIFEST_COLUMNS), {**SETTINGS, "test_views": ["vflip"]}
    with pytest.raises(UnchokeError, match=r"(?s)reads a view whose features are not given.*vflip"):
        split_images(opened(data), manifest, settings)


def test_the_cache_of_another_cut_weights_or_transform_is_refused(data: Path) -> None:
    store, pixels = opened(data)["identity"], open_views([data / "features/tiny~pixels.zarr"])["identity"]
    encoder = encoder_of(data, "test_vit", 32, "last1")
    assert encoder.cut
    right = {"weights_sha256": encoder.card["sha256"], **encoder.cut.facts()}
    refuse_other_cache(store, right)
    for wrong in ({"blocks": 2}, {"boundary": "blocks.0"}, {"weights_sha256": "f00"}):
        key = next(iter(wrong))
        with pytest.raises(UnchokeError, match=f"(?s)not one that this network.*found: +{key} .*tiny@identity"):
            refuse_other_cache(store, {**right, **wrong})
    refuse_other_cache(pixels, {"transform": transform_facts(32, encoder.card["data_config"])})
    with pytest.raises(UnchokeError, match="transform"):
        refuse_other_cache(pixels, {"transform": transform_facts(33, encoder.card["data_config"])})
    with pytest.raises(UnchokeError, match="transform None"):
        refuse_other_cache(store, {"transform": transform_facts(32, encoder.card["data_config"])})
