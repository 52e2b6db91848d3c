"""The receptive field of a network, measured: the outputs that change with one input pixel.

A NaN pixel makes NaN of exactly the outputs computed from it, whatever the weights: NaN survives sums, products, maxima
and the usual activations. The empirical form of the receptive fields of Luo et al. 2016.
"""

from collections.abc import Callable

import torch
from torch import nn

Forward = Callable[[torch.Tensor], torch.Tensor]

LARGEST_PX = 1024


@torch.inference_mode()
def measure_radius_px(forward: Forward, stride: int, size: int = 256, largest: int = LARGEST_PX) -> int | None:
    """Radius of the receptive field, px: the largest distance along an axis at which an input pixel changes an output.

    forward: float32 (1, 3, S, S) on the CPU to (1, K, S, S), in its state of evaluation, for S of size · 1, 2, 4, …
    up to `largest`; give `size` where it takes that one alone. stride: the period in px after which it repeats, its
    largest stride. A pixel in the middle is tried at every place of a period. The input is doubled until the radius is
    below a quarter of it. None: it never is, because of attention, squeeze-and-excite or norms over the patch, or
    because the radius exceeds a quarter of `largest`.
    """
    while size <= largest:
        found = 0
        for offset in range(stride):
            found = max(found, _seen_from(forward, size, size // 2 + offset))
            if found >= size / 4:
                break
        else:
            return found
        size *= 2
    return None


def _seen_from(forward: Forward, size: int, place: int) -> int:
    """Largest distance from the pixel (place, place) to an output that depends on it."""
    x = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    x[..., place, place] = torch.nan
    reached = torch.nonzero(forward(x)[0].isnan().any(0))
    return int((reached - place).abs().max()) if len(reached) else 0


def whole_patch_layers(model: nn.Module) -> list[str]:
    """Names of layers with statistics of the whole patch: group norm, and instance norm without running statistics."""
    return [name for name, layer in model.named_modules() if _is_of_whole_patch(layer)]


def _is_of_whole_patch(layer: nn.Module) -> bool:
    if isinstance(layer, nn.modules.instancenorm._InstanceNorm):
        return not layer.track_running_stats
    return isinstance(layer, nn.GroupNorm)
