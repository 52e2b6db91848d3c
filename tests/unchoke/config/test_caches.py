"""Which caches a config has: what its networks read, each once, and pixels that several encoders share."""

from typing import Any

import pytest

from unchoke.config.caches import blocks_of, cache_requests, caches, caches_of
from unchoke.config.load import load_config
from unchoke.errors import UnchokeError

TINY = {"model": "resnet18", "image_size": 32, "views": ["identity", "hflip", "vflip"], "store": "float32"}


def loaded(networks: dict[str, Any], source: str = "files", **encoders: dict[str, Any]) -> dict[str, Any]:
    encoders = {"tiny": TINY, **{name: {**TINY, **changes} for name, changes in encoders.items()}}
    return load_config({"encoders": encoders, "heads": {}, "networks": networks, "decoding": {"input": source}})


CUT = {"encoder": "tiny", "blocks": 2}
NETWORKS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "views of training and of testing": (
        {**CUT, "train_views": ["identity", "hflip"], "test_views": ["identity", "vflip"]},
        ["tiny~last2", "tiny~last2@hflip", "tiny~last2@vflip"],
    ),
    "one view": ({**CUT, "train_views": ["hflip"], "test_views": ["hflip"]}, ["tiny~last2@hflip"]),
    "the frozen part in each step": ({**CUT, "cache": "none"}, ["tiny~pixels"]),
    "all blocks": ({"encoder": "tiny"}, ["tiny~pixels"]),
    "no encoder": ({"model": "small_cnn", "image_size": 24}, ["pixels~24"]),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_a_network_has_the_caches_that_it_reads(case: str) -> None:
    network, expected = NETWORKS[case]
    config = loaded({"net": network})
    assert sorted(caches(config)) == expected
    assert sorted(cache.name for cache in caches_of(config["networks"]["net"])) == expected
    assert all(cache.kind in cache.array for cache in caches(config).values())


def test_networks_share_a_cache_and_the_larger_limit() -> None:
    config = loaded({"one": {**CUT, "cache_gb": 3, "train_views": ["hflip"]}, "two": {**CUT, "cache_gb": 7}})
    assert list(cache_requests(config)) == ["tiny~last2"]
    request = cache_requests(config)["tiny~last2"]
    assert (request["limit_gb"], request["networks"], sorted(request["views"])) == (
        7,
        ["one", "two"],
        ["hflip", "identity"],
    )
    assert (request["model"], request["image_size"], request["blocks"], request["dtype"]) == (
        "resnet18",
        32,
        2,
        "float32",
    )


def test_every_cut_of_an_encoder_is_known_also_where_nothing_is_cached() -> None:
    config = loaded({"one": CUT, "two": {**CUT, "blocks": 4, "cache": "none"}, "all": {"encoder": "tiny"}}, other={})
    assert blocks_of(config, "tiny") == [2, 4] and not blocks_of(config, "other")


@pytest.mark.parametrize(
    ("source", "networks", "encoders", "expected"),
    [
        ("files", {}, {"other": {}}, []),
        ("pixels", {}, {}, []),  # nobody else would read them
        ("pixels", {}, {"other": {}}, ["tiny~pixels"]),
        ("pixels", {}, {"other": {"image_size": 48}}, []),
        ("pixels", {}, {"a": {"image_size": 48}, "b": {"image_size": 48}, "c": {}}, ["a~pixels", "tiny~pixels"]),
        ("pixels", {}, {"other": {"views": ["hflip"]}}, []),
        ("pixels", {"cut": CUT}, {}, ["tiny~last2", "tiny~pixels"]),
        ("pixels", {"whole": {"encoder": "other"}}, {"other": {}}, ["other~pixels"]),
    ],
)
def test_encoders_of_one_size_share_pixels_where_that_is_asked_for(
    source: str, networks: dict[str, Any], encoders: dict[str, Any], expected: list[str]
) -> None:
    config = loaded(networks, source, **encoders)
    assert sorted(caches(config)) == expected
    limits = [request["limit_gb"] for request in cache_requests(config).values()]
    assert (None in limits) == (source == "pixels" and "whole" not in networks and bool(expected))


def test_masks_are_not_cut_from_pixels() -> None:
    raw = {"dataset": {"name": "m", "kind": "masks", "path": "m"}, "decoding": {"input": "pixels"}}
    with pytest.raises(UnchokeError, match=r"decoding\.input: dataset\.kind masks has masks"):
        load_config({**raw, "encoders": {"tiny": {"model": "resnet18", "strides": [4]}}})
