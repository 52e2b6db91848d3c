"""What the comparison of pipelines reads of whole images, of masks and of words."""

import json

import pytest

from unchoke.targets.comparison import comparison_flags, comparison_inputs

FILES = {"manifest": "r/w/manifest.csv", "patches": "r/w/patches.csv", "labels": "r/w/labels.zarr/zarr.json"}


def test_masks_have_labels_and_words_are_read_as_the_config_says() -> None:
    config = {"dataset": {"kind": "folder"}, "encoders": {"a": {"strides": [4, 8], "views": ["identity"]}}}
    config |= {
        "detection": {"unclip": 1.5},
        "teacher": None,
        "networks": {},
        "chunks_per_shard": 1,
        "decoding": {"input": "files"},
        "cleaning": None,
    }
    assert comparison_inputs(config) == {} and comparison_flags(config, "a", FILES) == []
    of_masks = {**config, "dataset": {"kind": "masks"}}
    assert comparison_inputs(of_masks)["labels_seal"] == "<results>/labels.sealed.json"
    flags = comparison_flags(of_masks, "a", FILES)
    assert flags == ["--strides", "4", "8", "--patches", "r/w/patches.csv", "--labels", "r/w/labels.zarr"]
    more = comparison_flags({**config, "dataset": {"kind": "text"}}, "a", FILES)[len(flags) :]
    assert more[:3] == ["--words", "r/w/words.csv", "--detection"] and json.loads(more[3]) == {"unclip": 1.5}


@pytest.mark.parametrize("begins", [True, False])
def test_the_first_network_is_trained_from_what_its_own_encoder_is(begins: bool) -> None:
    """Its encoder need not be the first of the config, and a model of its own has none."""
    encoder = {
        "model": "b",
        "weights": "untrained",
        "seed": 1,
        "image_size": 32,
        "precision": "float16",
        "store": "float32",
    }
    settings = {"encoder": "b" if begins else None, "blocks": 2}
    networks = {"cut": settings, "other": {"encoder": "a"}}
    config = {"dataset": {"kind": "folder"}, "encoders": {"a": {}, "b": encoder}, "networks": networks}
    inputs = comparison_inputs(config)
    weights = "resources/weights/b.untrained-1"
    expected = {"weights": f"{weights}.safetensors", "card": f"{weights}.json", "plan": "<results>/plans/b.json"}
    assert inputs == ({f"network_{name}": file for name, file in expected.items()} if begins else {})
    flags = comparison_flags(config, "a", {"manifest": "m.csv", **inputs})
    own = {key: encoder[key] for key in ("image_size", "precision", "store")} if begins else {}
    assert flags[0] == "--network"
    assert json.loads(flags[1]) == {"name": "cut", "settings": settings, "encoder": own}
    of_files = [part for name, file in expected.items() for part in (f"--network-{name}", file)]
    assert flags[2:] == (of_files if begins else [])
