"""Pure: which heads a run trains on which encoders, what they read, and their settings; configs as in ``stores``."""

from collections.abc import Mapping
from posixpath import dirname
from typing import Any

from unchoke.names import CLASSIFICATION, PIXELS, TEACHER, store_name
from unchoke.targets.stores import RESULTS, Config, has_masks, stores
from unchoke.targets.weights import encoder_weights

Place = tuple[str, str]
"""Encoder and name of a head; a head on pixels stands under an encoder of that name, a teacher under its own twice."""


def head_places(config: Config) -> list[Place]:
    """Every head whose results a run makes: where there are masks, those that segment whole images."""
    if not has_masks(config):
        return [(encoder, name) for name, head in config["heads"].items() for encoder in _encoders(config, head)]
    if config["segment"]["head"] == TEACHER:
        return [(TEACHER, TEACHER)]
    wanted = config["segment"]["heads"]
    return [
        (encoder, name)
        for name, head in config["mask_heads"].items()
        if not wanted or name in wanted
        for encoder in ([PIXELS] if head["kind"] == "unet" else _encoders(config, head))
    ]


def _encoders(config: Config, head: dict[str, Any]) -> list[str]:
    return head["encoders"] or list(config["encoders"])


def trained_places(config: Config) -> list[Place]:
    """Every head that a run trains: all but a teacher, which came trained."""
    segmented_by_teacher = has_masks(config) and config["segment"]["head"] == TEACHER
    return [] if segmented_by_teacher else head_places(config)


def head_stores(config: Config, encoder: str, head: str) -> dict[str, list[str]]:
    """Metadata and seals of the stores whose views a head reads."""
    settings = config["heads"][head]
    names = [store_name(encoder, view) for view in sorted({*settings["train_views"], *settings["test_views"]})]
    read = [stores(config)[f"features/{name}"] for name in names]
    return {"metadata": [store.metadata for store in read], "seals": [store.seal for store in read]}


def head_settings(config: Config, head: str) -> dict[str, Any]:
    """A head's section, less what does not touch its result; with the task, where it predicts no classes."""
    task = config["dataset"]["target"]
    settings = {key: value for key, value in config["heads"][head].items() if key != "encoders"}
    return settings if task == CLASSIFICATION else {**settings, "task": task}


def mask_head_settings(config: Config, head: str) -> dict[str, Any]:
    """A mask head's section, less what does not touch its result."""
    settings = config["mask_heads"][head] | {"choose_by": config["evaluation"]["mask_metric"]}
    untouched = {"encoders", *([] if settings["distil"] else ["distil"])}
    return {key: value for key, value in settings.items() if key not in untouched}


def mask_head_inputs(config: Config, encoder: str, head: str) -> dict[str, str]:
    """The sealed maps that a mask head reads, and its encoder, none of both for heads on pixels; and its teacher's."""
    found = {}
    if encoder != PIXELS:
        store = stores(config)[f"features/{encoder}"]
        found = {**encoder_weights(config["encoders"][encoder]), "metadata": store.metadata, "seal": store.seal}
    if config["mask_heads"][head]["distil"]:
        teacher = stores(config)[f"features/{TEACHER}"]
        found |= {"teacher": teacher.metadata, "teacher_seal": teacher.seal}
        found["teacher_quarantine"] = f"{RESULTS}/quarantine/{TEACHER}.json"
    return found


def mask_head_flags(config: Config, encoder: str, head: str, files: Mapping[str, str]) -> list[str]:
    """Flags that say where a mask head reads maps, none for heads on pixels; and its teacher's answers.

    files: as ``mask_head_inputs`` names them, where they are.
    """
    flags = []
    if encoder != PIXELS:
        flags = ["--store", dirname(files["metadata"]), "--weights", files["weights"], "--card", files["card"]]
        flags += ["--strides", *map(str, config["encoders"][encoder]["strides"])]
    return [*flags, *(["--teacher", dirname(files["teacher"])] if "teacher" in files else [])]
