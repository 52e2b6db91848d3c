"""Pure: which activations and pixels are cached, as stores of their own, for the networks and encoders of a config."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from unchoke.names import ACTIVATIONS, PIXELS, cut_store, pixel_store, store_name


class Cache(NamedTuple):
    """A store that is made before networks are trained, or for other encoders."""

    encoder: str | None
    """Whose activations they are, or whose pictures; None for those of networks without an encoder."""
    view: str = "identity"
    blocks: int = 0
    """How many last blocks the activations go into; 0: pixels."""
    image_size: int | None = None
    """Height and width of the pixels of networks without an encoder, px."""

    @property
    def kind(self) -> str:
        """Name of the store's array."""
        return ACTIVATIONS if self.blocks else PIXELS

    @property
    def array(self) -> str:
        """Path of a chunk of the array below the store; ``{chunk}`` is open."""
        return f"{self.kind}/c/{{chunk}}/0/0/0"

    @property
    def name(self) -> str:
        """Of the store."""
        if not self.blocks:
            return pixel_store(self.encoder, self.image_size)
        return store_name(cut_store(str(self.encoder), self.blocks), self.view)


def caches(config: dict[str, Any]) -> dict[str, Cache]:
    """Every cache of a config, as ``config.load.load_config`` returns it, by the name of its store."""
    found = [cache for network in config["networks"].values() for cache in caches_of(network)]
    return {cache.name: cache for cache in [*found, *_pixels_for_encoders(config, found)]}


def caches_of(network: dict[str, Any]) -> list[Cache]:
    """What one network reads: activations in each of its views, or pixels."""
    if network["blocks"] == "all" or network["cache"] == "none":
        return [Cache(network["encoder"], image_size=None if network["encoder"] else network["image_size"])]
    views = sorted({*network["train_views"], *network["test_views"]})
    return [Cache(network["encoder"], view, network["blocks"]) for view in views]


def blocks_of(config: dict[str, Any], encoder: str) -> list[int]:
    """How many of an encoder's last blocks networks train, each number once."""
    asked = {network["blocks"] for network in config["networks"].values() if network["encoder"] == encoder}
    return sorted(asked - {"all"})


def cache_requests(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What is needed to tell the size of each cache, by the name of its store in the view identity.

    Its views are summed up, and its limit is the largest of the networks that share it; None where none does.
    """
    found: dict[str, dict[str, Any]] = {}
    for cache in caches(config).values():
        request = found.setdefault(cache._replace(view="identity").name, {"views": [], **_source(config, cache)})
        request["views"].append(cache.view)
    for name, network in config["networks"].items():
        request = found[caches_of(network)[0]._replace(view="identity").name]
        request["networks"].append(name)
        request["limit_gb"] = max(request["limit_gb"] or 0, network["cache_gb"])
    return found


def _source(config: dict[str, Any], cache: Cache) -> dict[str, Any]:
    encoder = config["encoders"].get(cache.encoder, {"model": None, "image_size": cache.image_size})
    asked = {key: encoder[key] for key in ("model", "image_size")}
    dtype = encoder["store"] if cache.blocks else "uint8"
    return {**asked, "blocks": cache.blocks, "dtype": dtype, "networks": [], "limit_gb": None}


def _pixels_for_encoders(config: dict[str, Any], found: list[Cache]) -> Iterator[Cache]:
    """With ``decoding.input: pixels``, those of the first encoder of each image size that several stores are made from.

    Encoders have one image size where the config gives them the same. Those whose pixels are there for a network, or
    whose image size has them, need no others.
    """
    if config["decoding"]["input"] != PIXELS:
        return
    sizes = {name: encoder["image_size"] for name, encoder in config["encoders"].items()}
    there = {sizes[cache.encoder] for cache in found if cache.encoder and not cache.blocks}
    cut = {(cache.encoder, cache.blocks) for cache in found if cache.blocks and cache.view == "identity"}
    for first, size in sizes.items():
        readers = [name for name, encoder in config["encoders"].items() if "identity" in encoder["views"]]
        stores = [*readers, *(encoder for encoder, _ in cut)]
        if size not in there and sum(sizes[str(name)] == size for name in stores) > 1:
            there.add(size)
            yield Cache(first)
