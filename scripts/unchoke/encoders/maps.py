"""Feature maps of encoders at given strides, the inputs of mask heads."""

from collections.abc import Mapping
from typing import Any

import torch

from unchoke.errors import UnchokeError
from unchoke.names import map_name


def find_maps(model: Any, strides: list[int]) -> dict[str, int]:
    """For each stride, px, the deepest map of the model with it: name and index among timm's intermediates.

    Raises UnchokeError where there is none.
    """
    info = getattr(model, "feature_info", [])
    reductions = [entry["reduction"] for entry in (info if isinstance(info, list) else info.info)]
    if not hasattr(model, "forward_intermediates"):
        reductions = []
    for stride in strides:
        if stride not in reductions:
            raise UnchokeError(
                "The encoder has no feature map of this stride.",
                found=f"stride {stride}",
                expected=f"one of {', '.join(map(str, sorted(set(reductions)))) or 'none: timm gives no maps of it'}",
                where=type(model).__name__,
                do="correct encoders.*.strides, or take another model",
            )
    last = {reduction: place for place, reduction in enumerate(reductions)}
    return {map_name(stride): last[stride] for stride in strides}


def feature_maps(model: Any, x: torch.Tensor, places: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """Maps (B, C, h, w) by name, of normalised pictures (B, 3, H, W); normed as the model's own output is.

    Layers behind the last map are not computed.
    """
    found = model.forward_intermediates(
        x, indices=sorted(places.values()), norm=True, stop_early=True, intermediates_only=True
    )
    return {name: found[sorted(places.values()).index(place)] for name, place in places.items()}
