"""The config of datasets with masks: what is refused, with the key to change, and what is filled in."""

import json
from typing import Any, get_args

import pytest

from unchoke.config.load import load_config
from unchoke.config.mask_heads import MaskHead
from unchoke.errors import UnchokeError
from unchoke.names import MASK_KINDS, TEXT_KINDS

ENCODER = {"model": "resnet18", "strides": [4, 8]}


def config_of(**sections: Any) -> dict[str, Any]:
    dataset = {"name": "cells", "kind": "masks", "path": "cells"}
    return {"dataset": dataset, "encoders": {"tiny": ENCODER}, **sections}


def with_dataset(**keys: Any) -> dict[str, Any]:
    return config_of(dataset={**config_of()["dataset"], **keys})


def with_encoder(name: str = "tiny", **keys: Any) -> dict[str, Any]:
    return config_of(encoders={name: {**ENCODER, **keys}})


def error_of(config: dict[str, Any]) -> str:
    with pytest.raises(UnchokeError, match="The config does not hold") as caught:
        load_config(config)
    return str(caught.value)


# --- defaults


@pytest.mark.parametrize("kind", MASK_KINDS)
def test_datasets_with_masks_have_mask_heads_of_every_kind_and_no_others(kind: str) -> None:
    config = load_config(with_dataset(kind=kind))
    assert config["heads"] == {}
    kinds = [get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(MaskHead)[0])]
    finds_words = kind in TEXT_KINDS
    assert {name: head["kind"] for name, head in config["mask_heads"].items()} == {
        name: name for name in kinds if (name == "db") == finds_words
    }


def test_heads_that_find_words_need_words() -> None:
    found = error_of(config_of(mask_heads={"words": {"kind": "db"}}))
    assert "mask_heads.words: the kind db finds words, and dataset.kind masks has masks" in found


def test_datasets_without_masks_have_no_mask_heads() -> None:
    config = load_config({})
    assert config["mask_heads"] == {} and config["heads"]


def test_mask_heads_that_are_given_stand_alone() -> None:
    assert list(load_config(config_of(mask_heads={"one": {"kind": "unet", "width": 8}}))["mask_heads"]) == ["one"]
    assert load_config(config_of(mask_heads={}))["mask_heads"] == {}


def test_patches_and_classes_are_filled_in() -> None:
    config = load_config(config_of(patches={"overlap": 32}))
    assert config["patches"] == {"size": 256, "overlap": 32, "per_chunk": 16}
    assert config["dataset"]["classes"] == {"background": [0], "foreground": [1, 255]}
    assert config["dataset"]["ignore"] is None
    assert set(config["segment"]["splits"]) == {"train", "val", "test"}
    assert config["segment"]["blend"] == "auto"


@pytest.mark.parametrize("kind", [*MASK_KINDS, "folder"])
def test_a_loaded_config_is_plain_data_and_loads_to_itself(kind: str) -> None:
    classes = {} if kind in TEXT_KINDS else {"classes": {"a": "#ff0000", "b": [1, "#00ff00"]}, "ignore": "#0000ff"}
    given = with_dataset(kind=kind, **classes)
    if kind == "folder":
        del given["encoders"]  # its maps
    config = load_config(given)
    assert load_config(config) == config == json.loads(json.dumps(config))


# --- classes


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_words_have_classes_of_their_own(kind: str) -> None:
    config = load_config(with_dataset(kind=kind))
    assert config["dataset"]["classes"] == {"background": [0], "text": [1]}
    for keys in ({"classes": {"a": 0, "b": 1}}, {"ignore": 2}):
        assert f"classes and ignore are values in mask files, and the kind {kind} has none" in error_of(
            with_dataset(kind=kind, **keys)
        )


def test_a_value_may_stand_alone_and_colours_become_numbers() -> None:
    config = load_config(with_dataset(classes={"sky": 3, "red": "#ff0000", "both": ["#00FF7f", 7]}, ignore="#ffffff"))[
        "dataset"
    ]
    assert list(config["classes"].items()) == [("sky", [3]), ("red", [0xFF0000]), ("both", [0x00FF7F, 7])]
    assert config["ignore"] == 0xFFFFFF


@pytest.mark.parametrize("colour", ["ff0000", "#ff00", "#ff00001", "#gg0000", "red"])
def test_what_is_no_colour_is_named_with_its_class(colour: str) -> None:
    message = error_of(with_dataset(classes={"a": 0, "b": colour}))
    assert "dataset.classes.b" in message and repr(colour) in message


@pytest.mark.parametrize("value", [-1, 2**24, 1.5])
def test_a_value_that_no_mask_can_have_is_named(value: float) -> None:
    assert f"found {value}" in error_of(with_dataset(classes={"a": 0, "b": [value]}))


@pytest.mark.parametrize(
    ("classes", "ignore", "said"),
    [
        ({"a": [0, 1], "b": [2, 1]}, None, "the value 1 stands for a and for b"),
        ({"a": "#000001", "b": 1}, None, "the value 1 stands for a and for b"),
        ({"a": 0, "b": 5}, 5, "the value 5 stands for ignore and for b"),
    ],
)
def test_a_value_of_two_classes_is_named_with_both(classes: dict[str, Any], ignore: int | None, said: str) -> None:
    assert f"dataset: classes: {said}" in error_of(with_dataset(classes=classes, ignore=ignore))


def test_a_value_may_be_given_twice_for_its_class() -> None:
    assert load_config(with_dataset(classes={"a": [0, 0], "b": 1}))["dataset"]["classes"]["a"] == [0, 0]


@pytest.mark.parametrize(("count", "holds"), [(1, False), (2, True), (254, True), (255, False)])
def test_there_are_two_to_254_classes(count: int, holds: bool) -> None:
    config = with_dataset(classes={f"c{number}": number for number in range(count)})
    if holds:
        assert len(load_config(config)["dataset"]["classes"]) == count
    else:
        assert "dataset.classes" in error_of(config)


def test_a_class_without_a_value_is_named() -> None:
    assert "dataset.classes.b" in error_of(with_dataset(classes={"a": 0, "b": []}))


# --- the wrong kind of head


def test_heads_for_images_are_refused_where_there_are_masks() -> None:
    message = error_of(config_of(heads={"knn": {"kind": "knn"}}))
    assert "heads: dataset.kind masks has masks, which mask_heads learn" in message


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"mask_heads": {"one": {"kind": "unet"}}}, "mask_heads: dataset.kind digits has no masks"),
        ({"encoders": {"tiny": ENCODER}}, "encoders.tiny.strides: dataset.kind digits has no masks"),
    ],
)
def test_what_masks_alone_need_is_refused_without_them(sections: dict[str, Any], said: str) -> None:
    assert said in error_of(sections)


# --- encoders


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"strides": []}, "encoders.tiny.strides: masks need feature maps, [4, 8] for instance"),
        ({"image_size": 224}, "encoders.tiny.image_size 224 must be that of a patch, patches.size 256"),
        ({"views": ["identity", "hflip"]}, "encoders.tiny.views: feature maps are cached in the view identity alone"),
        ({"strides": [4, 7]}, "encoders.tiny.strides: 7 must divide patches.size 256 and size less overlap, 192"),
        ({"strides": [128]}, "encoders.tiny.strides: 128 must divide patches.size 256 and size less overlap, 192"),
    ],
)
def test_an_encoder_that_does_not_fit_the_patches_is_named_with_its_key(keys: dict[str, Any], said: str) -> None:
    assert said in error_of(with_encoder(**keys))


@pytest.mark.parametrize("keys", [{"image_size": 256}, {"strides": [2, 4, 8, 16, 32, 64]}, {"strides": [16]}])
def test_an_encoder_that_fits_the_patches_holds(keys: dict[str, Any]) -> None:
    found = load_config(with_encoder(**keys))["encoders"]["tiny"]
    assert {name: found[name] for name in keys} == keys


def test_the_name_that_stands_for_pixels_is_taken() -> None:
    assert "encoders.pixels: 'pixels' is taken" in error_of(with_encoder("pixels"))


def test_an_encoder_may_be_named_pixels_where_there_are_no_masks() -> None:
    assert "pixels" in load_config({"encoders": {"pixels": {"model": "resnet18"}}})["encoders"]


# --- patches


@pytest.mark.parametrize(("size", "overlap"), [(256, 63), (64, 34), (64, 64), (33, 18)])
def test_an_overlap_that_is_odd_or_too_large_is_named(size: int, overlap: int) -> None:
    message = error_of(config_of(patches={"size": size, "overlap": overlap}, encoders={}))
    assert f"patches: overlap {overlap} must be even and at most half of size {size}" in message


@pytest.mark.parametrize(("size", "overlap"), [(64, 0), (64, 32), (128, 64)])
def test_an_even_overlap_up_to_half_of_the_size_holds(size: int, overlap: int) -> None:
    patches = {"size": size, "overlap": overlap, "per_chunk": 4}
    assert load_config(config_of(patches=patches))["patches"] == patches


@pytest.mark.parametrize("patches", [{"size": 31}, {"size": 4097}, {"overlap": -2}, {"per_chunk": 0}])
def test_a_number_out_of_range_is_named(patches: dict[str, int]) -> None:
    ((key, value),) = patches.items()
    message = error_of(config_of(patches=patches))
    assert f"patches.{key}" in message and f"found {value}" in message


# --- heads and segments


@pytest.mark.parametrize("kind", ["linear", "decoder"])
def test_a_mask_head_of_an_unknown_encoder_is_answered_with_the_nearest(kind: str) -> None:
    message = error_of(config_of(mask_heads={"one": {"kind": kind, "encoders": ["tinny"]}}))
    assert "mask_heads.one.encoders: no encoder 'tinny': did you mean 'tiny'?" in message


def test_an_unknown_kind_of_mask_head_is_answered_with_the_nearest() -> None:
    message = error_of(config_of(mask_heads={"one": {"kind": "unett"}}))
    assert "mask_heads.one: unknown kind 'unett': did you mean 'unet'?" in message


def test_a_key_of_another_kind_of_mask_head_is_unknown_and_named_without_the_kind() -> None:
    assert "mask_heads.one: unknown key 'encoders'" in error_of(
        config_of(mask_heads={"one": {"kind": "unet", "encoders": ["tiny"]}})
    )


def test_cached_features_cannot_be_turned() -> None:
    assert "mask_heads.one.augment" in error_of(config_of(mask_heads={"one": {"kind": "linear", "augment": True}}))
    assert load_config(config_of(mask_heads={"one": {"kind": "unet", "augment": True}}))


def test_a_segment_of_an_unknown_head_is_answered_with_the_nearest() -> None:
    assert "segment.heads: no mask head 'unett': did you mean 'unet'?" in error_of(
        config_of(segment={"heads": ["linear", "unett"]})
    )
    assert load_config(config_of(segment={"heads": ["unet"]}))["segment"]["heads"] == ["unet"]


@pytest.mark.parametrize(("splits", "missing"), [(["train", "val"], "test"), (["train", "test"], "val")])
def test_the_splits_that_figures_are_of_must_be_segmented(splits: list[str], missing: str) -> None:
    assert f"segment.splits: the figures need {missing} as well" in error_of(config_of(segment={"splits": splits}))


def test_train_need_not_be_segmented() -> None:
    assert load_config(config_of(segment={"splits": ["val", "test"]}))["segment"]["splits"] == ["val", "test"]


@pytest.mark.parametrize(
    ("segment", "place"), [({"blend": "mean"}, "segment.blend"), ({"splits": ["val", "tset"]}, "segment.splits.1")]
)
def test_an_unknown_choice_is_named_with_its_place(segment: dict[str, Any], place: str) -> None:
    assert place in error_of(config_of(segment=segment))


def test_mask_heads_are_not_trained_on_further_splits() -> None:
    message = error_of(with_dataset(split={"repeats": 3}))
    assert "dataset.split.repeats 3: dataset.kind masks has masks" in message and "set repeats to 1" in message
    load_config(with_dataset(split={"repeats": 1}))
