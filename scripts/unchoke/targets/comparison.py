"""Pure: what the comparison of pipelines reads of a dataset with masks beside its images, as the rule names it."""

from collections.abc import Mapping
from posixpath import dirname

from unchoke.hashing import canonical_json
from unchoke.targets.stores import RESULTS, Config, has_masks, has_words, stores


def comparison_inputs(config: Config) -> dict[str, str]:
    """The patches and their sealed labels; nothing where whole images are encoded."""
    if not has_masks(config):
        return {}
    labels = stores(config)["labels"]
    return {"patches": f"{RESULTS}/patches.csv", "labels": labels.metadata, "labels_seal": labels.seal}


def comparison_flags(config: Config, encoder: str, files: Mapping[str, str]) -> list[str]:
    """Flags that say where these lie, and how words are read.

    files: as ``comparison_inputs`` names them, and the ``manifest``, beside which lie the words.
    """
    if not has_masks(config):
        return []
    strides = map(str, config["encoders"][encoder]["strides"])
    flags = ["--strides", *strides, "--patches", files["patches"], "--labels", dirname(files["labels"])]
    if has_words(config):
        flags += [
            "--words",
            f"{dirname(files['manifest'])}/words.csv",
            "--detection",
            canonical_json(config["detection"]),
        ]
    return flags
