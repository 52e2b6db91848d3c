"""The networks of a config: what is refused, with the key to change, and what is filled in."""

from typing import Any

import pytest

from unchoke.config.load import load_config
from unchoke.errors import UnchokeError

ENCODERS = {"tiny": {"model": "resnet18", "weights": "untrained", "image_size": 32, "views": ["identity", "hflip"]}}
LINEAR, LOGISTIC = {"kind": "linear"}, {"kind": "logistic"}


def config_of(network: dict[str, Any], **sections: Any) -> dict[str, Any]:
    heads = {"by_steps": LINEAR, "probe": LOGISTIC, "near": {"kind": "knn"}}
    return {"encoders": ENCODERS, "heads": heads, "networks": {"net": network}, **sections}


def network_of(network: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return load_config(config_of(network, **sections))["networks"]["net"]  # type: ignore[no-any-return]


def test_a_network_begins_with_the_first_logistic_head() -> None:
    assert network_of({"encoder": "tiny", "blocks": 2})["start"] == "probe"
    assert network_of({"encoder": "tiny"}, heads={"one": LINEAR})["start"] == "one"
    assert network_of({"encoder": "tiny"}, heads={"one": {**LOGISTIC, "shots": 4}})["start"] is None
    others = {**ENCODERS, "other": ENCODERS["tiny"]}
    heads = {"one": {**LOGISTIC, "encoders": ["other"]}, "two": LINEAR}
    assert network_of({"encoder": "tiny"}, heads=heads, encoders=others)["start"] == "two"
    assert network_of({"encoder": "tiny", "start": "by_steps"})["start"] == "by_steps"
    assert network_of({"encoder": "tiny", "start": None})["start"] is None
    assert network_of({"model": "small_cnn", "image_size": 32})["start"] is None


def test_a_network_is_chosen_by_the_metric_of_the_evaluation() -> None:
    network = {"encoder": "tiny"}
    assert network_of(network, evaluation={"metric": "macro_f1"})["choose_by"] == "macro_f1"
    assert network_of({**network, "choose_by": "auroc"})["choose_by"] == "auroc"


@pytest.mark.parametrize(
    ("network", "text"),
    [
        ({}, "networks.net: give either encoder"),
        ({"encoder": "tiny", "model": "resnet18"}, "networks.net: give either encoder"),
        ({"encoder": "tony"}, "networks.net.encoder: no encoder 'tony': did you mean 'tiny'?"),
        ({"encoder": "tiny", "blocks": 0}, "networks.net.blocks"),
        ({"encoder": "tiny", "image_size": 32}, "image_size is that of the encoder"),
        ({"model": "resnet18"}, "model needs image_size"),
        ({"model": "resnet18", "image_size": 32, "blocks": 2}, "blocks needs an encoder"),
        ({"model": "resnet18", "image_size": 32, "start": "probe_2"}, "start needs an encoder"),
        ({"encoder": "tiny", "blocks": 2, "augment": ["hflip"]}, "augment needs pixels"),
        ({"encoder": "tiny", "train_views": ["hflip"]}, "train_views and test_views are of cached activations"),
        ({"encoder": "tiny", "blocks": 2, "train_views": ["vflip"]}, "reads view 'vflip'"),
        ({"encoder": "tiny", "start": "prob"}, "networks.net.start: no head 'prob': did you mean 'probe'?"),
        ({"encoder": "tiny", "start": "near"}, "must be a head of kind logistic or linear"),
        ({"encoder": "tiny", "augment": ["hflop"]}, "networks.net.augment"),
        ({"encoder": "tiny", "precision": "float8"}, "networks.net.precision"),
        ({"encoder": "tiny", "minutes": 0}, "networks.net.minutes"),
        ({"encoder": "tiny", "cards": 0}, "networks.net.cards"),
        ({"encoder": "tiny", "block": 2}, "unknown key 'block': did you mean 'blocks'?"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_named(network: dict[str, Any], text: str) -> None:
    with pytest.raises(UnchokeError) as caught:
        load_config(config_of(network))
    assert text in str(caught.value)


def test_networks_and_heads_have_names_of_their_own() -> None:
    with pytest.raises(UnchokeError, match="heads has the same name"):
        load_config(config_of({"encoder": "tiny"}, networks={"probe": {"encoder": "tiny"}}))
    with pytest.raises(UnchokeError, match="'pixels' is taken"):
        load_config({"encoders": {"pixels": ENCODERS["tiny"]}, "networks": {"n": {"encoder": "pixels"}}})


def test_datasets_with_masks_have_no_networks() -> None:
    dataset = {"name": "cells", "kind": "masks", "path": "cells"}
    encoders = {"tiny": {"model": "resnet18", "strides": [4]}}
    with pytest.raises(UnchokeError, match="has masks, which mask_heads learn"):
        load_config({"dataset": dataset, "encoders": encoders, "networks": {"n": {"encoder": "tiny"}}})
