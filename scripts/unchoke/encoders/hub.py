"""Whether pretrained weights can be fetched: they are cached, or the hub answers within seconds."""

import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable

import timm
from huggingface_hub import constants, try_to_load_from_cache

FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors")


def unreachable(model: str, patience_s: float) -> str:
    """As ``unreachable_models``, for one model."""
    return unreachable_models([model], patience_s)[model]


def unreachable_models(models: Iterable[str], patience_s: float) -> dict[str, str]:
    """By model why its pretrained weights cannot be fetched; empty where they are cached, or the hub has answered.

    All models are asked at once, each once; the answers are those that came within `patience_s` seconds.
    """
    found = dict.fromkeys(models, f"no answer of the hub within {patience_s:g} s")

    def ask(model: str) -> None:
        found[model] = _problem(model, patience_s)

    # Looking up a host's name has no time limit of its own, so threads are left behind.
    threads = [threading.Thread(target=ask, args=(model,), daemon=True) for model in found]
    ends = time.monotonic() + patience_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    return dict(found)


def hub_name(model: str) -> str:
    """Repository of a model's weights on the hub, or their URL; empty where it has neither."""
    if model.startswith(("hf-hub:", "hf_hub:")):
        return model.partition(":")[2]
    config = timm.get_pretrained_cfg(model)
    return str(getattr(config, "hf_hub_id", None) or getattr(config, "url", None) or "")


def _problem(model: str, patience_s: float) -> str:
    name = "" if model.startswith("local-dir:") else hub_name(model)
    if not name or is_cached(name):
        return ""  # timm itself says what is wrong with models that have no weights
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, and the weights are not in the hub's cache"
    url = name if "://" in name else f"{constants.ENDPOINT}/{name}/resolve/main/config.json"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=patience_s):
            return ""
    except urllib.error.HTTPError as error:
        return "" if error.code < 500 and error.code != 407 else f"{url}: {error}"  # the hub is there
    except (OSError, ValueError) as error:
        return f"{url.partition('/resolve')[0]}: {getattr(error, 'reason', None) or error}"


def is_cached(name: str) -> bool:
    """Whether the hub's cache has weights of a repository."""
    folder = os.environ.get("HF_HUB_CACHE") or constants.HF_HUB_CACHE
    return any(isinstance(try_to_load_from_cache(name, file, cache_dir=folder), str) for file in FILES)
