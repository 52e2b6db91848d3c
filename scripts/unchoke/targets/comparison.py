"""Pure: what the comparison of pipelines reads beside images and the first encoder: masks, or a network's encoder."""

from collections.abc import Mapping
from posixpath import dirname

from unchoke.hashing import canonical_json
from unchoke.targets.stores import RESULTS, Config, has_masks, has_words, stores
from unchoke.targets.weights import encoder_weights


def comparison_inputs(config: Config) -> dict[str, str]:
    """The patches and their sealed labels; of whole images what the first network begins with, where there is one."""
    if not has_masks(config):
        return _network_inputs(config)
    labels = stores(config)["labels"]
    return {"patches": f"{RESULTS}/patches.csv", "labels": labels.metadata, "labels_seal": labels.seal}


def comparison_flags(config: Config, encoder: str, files: Mapping[str, str]) -> list[str]:
    """Flags that say where these lie, and how words are read or the network is trained.

    files: as ``comparison_inputs`` names them, and the ``manifest``, beside which lie the words.
    """
    if not has_masks(config):
        return _network_flags(config, files)
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


def _network_inputs(config: Config) -> dict[str, str]:
    """Weights, card and plan of the encoder of the first network."""
    networks = list(config["networks"].values())
    name = networks[0]["encoder"] if networks else None
    if name is None:
        return {}
    files = {**encoder_weights(config["encoders"][name]), "plan": f"{RESULTS}/plans/{name}.json"}
    return {f"network_{file}": path for file, path in files.items()}


def _network_flags(config: Config, files: Mapping[str, str]) -> list[str]:
    if not config["networks"]:
        return []
    name, settings = next(iter(config["networks"].items()))
    encoder = config["encoders"].get(settings["encoder"], {})
    own = {key: encoder[key] for key in ("image_size", "precision", "store") if encoder}
    flags = ["--network", canonical_json({"name": name, "settings": settings, "encoder": own})]
    for file in ("network_weights", "network_card", "network_plan"):
        flags += [f"--{file.replace('_', '-')}", files[file]] if file in files else []
    return flags
