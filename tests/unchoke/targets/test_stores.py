"""The stores of a run: their names, their files, and how many jobs make them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_configs import image_config, mask_config, taught_config

from unchoke.targets.stores import (
    Store,
    arrays,
    encoders_in_use,
    first_store,
    seals_of_encoder,
    stores,
    stores_in_use,
    views,
)


def test_every_view_of_an_encoder_is_a_store_with_an_array_a_pool():
    config = image_config()
    assert views(config) == {"b0": ("b0", "identity"), "vit@hflip": ("vit", "hflip"), "vit": ("vit", "identity")}
    assert list(stores(config)) == ["features/b0", "features/vit@hflip", "features/vit", "fingerprints"]
    assert stores(config)["features/b0"].array_files([0, 7]) == [
        "<results>/features/b0.zarr/avg/c/0/0",
        "<results>/features/b0.zarr/avg/c/7/0",
        "<results>/features/b0.zarr/max/c/0/0",
        "<results>/features/b0.zarr/max/c/7/0",
    ]
    assert first_store(config, "vit").stem == "<results>/features/vit@hflip"


def test_without_cleaning_nothing_is_fingerprinted():
    assert "fingerprints" not in stores(image_config(cleaning=None))


def test_datasets_with_masks_have_maps_labels_and_a_teachers_answers():
    found = stores(taught_config())
    assert list(found) == ["features/tiny", "features/teacher", "labels"]
    assert found["features/tiny"].arrays == ["s4/c/{chunk}/0/0/0", "s8/c/{chunk}/0/0/0"]
    assert found["features/teacher"].arrays == ["logits/c/{chunk}/0/0/0", "features/c/{chunk}/0/0/0"]
    assert found["labels"].array_files(["{chunk}"]) == ["<results>/labels.zarr/mask/c/{chunk}/0/0"]
    words = mask_config(dataset={"name": "signs", "kind": "text", "path": "signs"}, mask_heads={"db": {"kind": "db"}})
    assert stores(words)["labels"].array_files([3]) == [
        "<results>/labels.zarr/mask/c/3/0/0",
        "<results>/labels.zarr/threshold/c/3/0/0",
    ]
    silent = mask_config(teacher={"file": "t.py", "checkpoint": "t.pt", "features": False})
    assert arrays(silent, "teacher") == ["logits/c/{chunk}/0/0/0"]


def test_where_a_teacher_segments_no_encoder_has_maps_to_make():
    config = taught_config(segment={"head": "teacher"})
    assert encoders_in_use(config) == {} and list(stores_in_use(config)) == ["features/teacher", "labels"]
    assert list(stores(config)) == ["features/tiny", "features/teacher", "labels"]  # for those who ask by name
    for every in (taught_config(), mask_config(), image_config()):
        assert (encoders_in_use(every), stores_in_use(every)) == (every["encoders"], stores(every))


@pytest.mark.parametrize(
    ("dataset", "cleaning", "expected"),
    [
        ({"kind": "folder", "path": "images"}, {}, 16),
        ({"kind": "npy", "path": "x", "images": "x.npy", "labels": "y.npy"}, {}, 512),
        ({"kind": "folder", "path": "images"}, {"chunks_per_job": 3}, 3),
    ],
)
def test_a_job_of_fingerprints_takes_many_chunks_and_more_of_arrays(dataset, cleaning, expected):
    config = image_config(dataset={"name": "few", **dataset}, cleaning=cleaning)
    assert stores(config)["fingerprints"].chunks_per_file == expected


def test_a_shard_holds_chunks_of_features_alone():
    found = stores(image_config(chunks_per_shard=5))
    assert [store.chunks_per_file for store in found.values()] == [5, 5, 5, 16]
    shards = found["features/b0"]
    assert (shards.numbers(12), shards.chunks_in(1, 12), shards.chunks_in(2, 12)) == (
        range(3),
        range(5, 10),
        range(10, 12),
    )


@given(st.integers(1, 200), st.integers(1, 30))
def test_the_files_of_a_store_hold_every_chunk_once(chunks, per_file):
    store = Store("<results>/features/b0", ["avg/c/{chunk}/0"], per_file)
    held = [chunk for number in store.numbers(chunks) for chunk in store.chunks_in(number, chunks)]
    assert held == list(range(chunks))


@given(st.integers(1, 200), st.integers(1, 30), st.integers(0, 3))
def test_a_file_behind_the_last_misses_the_rows_of_a_chunk_that_is_not_there(chunks, per_file, further):
    store = Store("<results>/features/b0", ["avg/c/{chunk}/0"], per_file)
    assert set(store.chunks_in(len(store.numbers(chunks)) + further, chunks)) - set(range(chunks))


def test_a_store_is_read_by_its_metadata_and_seal():
    store = Store("<results>/features/b0.v1", [])
    assert store.sealed == {
        "metadata": "<results>/features/b0.v1.zarr/zarr.json",
        "seal": "<results>/features/b0.v1.sealed.json",
    }
    assert store.origin == "<results>/features/b0.v1.origin.json"


def test_a_head_reads_its_encoders_features_and_where_there_are_masks_the_labels():
    assert seals_of_encoder(image_config(), "b0") == ["<results>/features/b0.sealed.json"]
    features, labels = "<results>/features/tiny.sealed.json", "<results>/labels.sealed.json"
    assert seals_of_encoder(mask_config(), "tiny") == [features, labels]
    assert seals_of_encoder(mask_config(), "pixels") == [labels]
