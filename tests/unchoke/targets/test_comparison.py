"""What the comparison of pipelines reads of whole images, of masks and of words."""

import json

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
