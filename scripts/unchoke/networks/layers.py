"""Layers whose masks belong to the image, and batch norm that is frozen, or recomputed without a trace.

torch draws the masks of dropout and drop-path in the order of calls: a batch in other micro-batches has other masks.
Here they are drawn by seed, step, image and layer; see ``draws``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from timm.layers import DropBlock2d, DropPath, PatchDropout  # type: ignore[attr-defined]
from torch import nn
from torch.utils.checkpoint import checkpoint

from unchoke.errors import UnchokeError
from unchoke.networks.draws import uniforms

BATCH_NORM = nn.modules.batchnorm._BatchNorm


@dataclass
class Draws:
    """The seed, and the step and images that the network sees now."""

    seed: int
    step: int = 0
    image_id_B: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def see(self, step: int, image_id_B: NDArray[np.int64]) -> None:
        """Go on to a micro-batch."""
        self.step, self.image_id_B = step, image_id_B

    @torch.compiler.disable  # type: ignore[untyped-decorator] # NumPy draws
    def kept(self, place: str, shape: Sequence[int], rate: float, device: torch.device) -> torch.Tensor:
        """For images of `shape`, 0 where left out, else 1 / (1 - rate): float32 (B, *shape)."""
        drawn_BN = uniforms(self.seed, self.step, self.image_id_B, place, int(np.prod(shape)))
        scaled = (drawn_BN >= rate).astype(np.float32) / (1 - rate)
        return torch.from_numpy(scaled.reshape(-1, *shape)).to(device)


class KeyedDropout(nn.Module):
    """Dropout in training, each image with masks of its own."""

    def __init__(self, rate: float, name: str, draws: Draws, *, whole_image: bool) -> None:
        """whole_image: leave out all of an image or nothing (drop-path), else each number for itself."""
        super().__init__()
        self.rate, self.name, self.whole_image = rate, name, whole_image
        self.draws = draws

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (B, …) with the images of ``draws``."""
        if not self.training or not self.rate:
            return x
        shape = [1] * (x.ndim - 1) if self.whole_image else x.shape[1:]
        kept: torch.Tensor = self.draws.kept(self.name, shape, self.rate, x.device)
        return x * kept.to(x.dtype)


def key_layers(network: nn.Module, draws: Draws) -> None:
    """Put a ``KeyedDropout`` in the place of each drop-path and dropout.

    Raises UnchokeError where another layer draws numbers by itself.
    """
    for name, module in list(network.named_modules()):
        for child_name, child in list(module.named_children()):
            full = f"{name}.{child_name}".removeprefix(".")
            if isinstance(child, DropPath) and child.drop_prob:
                setattr(module, child_name, KeyedDropout(child.drop_prob, full, draws, whole_image=True))
            elif type(child) is nn.Dropout and child.p:
                setattr(module, child_name, KeyedDropout(child.p, full, draws, whole_image=False))
    _refuse_unkeyed(network)


def _refuse_unkeyed(network: nn.Module) -> None:
    for name, module in network.named_modules():
        rates = {
            nn.modules.dropout._DropoutNd: "p",
            DropBlock2d: "drop_prob",
            PatchDropout: "prob",
        }
        if any(isinstance(module, kind) and getattr(module, rate) for kind, rate in rates.items()):
            raise UnchokeError(
                "The network has a layer whose random numbers depend on the micro-batch.",
                found=f"{type(module).__name__} '{name}'",
                expected="dropout and drop-path alone",
                do="take another model",
            )


def drop_inputs(classifiers: Iterable[nn.Module], rate: float, draws: Draws) -> None:
    """Give classifiers dropout of their inputs, by hooks: no name of the network changes."""
    dropout = KeyedDropout(rate, "classifier's input", draws, whole_image=False)

    def drop(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (dropout.train(module.training)(inputs[0]), *inputs[1:])

    for classifier in classifiers if rate else ():
        classifier.register_forward_pre_hook(drop)


def train_mode(network: nn.Module, *, frozen_norm: bool) -> None:
    """Put a network into training, but for the statistics of its batch norms where they are frozen."""
    network.train()
    if frozen_norm:
        for norm in batch_norms(network):
            norm.eval()


def batch_norms(network: nn.Module) -> list[nn.Module]:
    """All batch norms of a network."""
    return [module for module in network.modules() if isinstance(module, BATCH_NORM)]


def recompute(blocks: Iterable[nn.Module]) -> None:
    """Keep of each block the input alone in training, and compute the rest again for the gradient.

    Keyed layers have the same masks again, and the running statistics of batch norm move once.
    """
    for block in blocks:
        contexts = partial(_contexts, batch_norms(block))
        block.forward = partial(_recomputed, block.forward, contexts)


def _recomputed(forward: Callable[..., Any], contexts: Callable[[], Any], *inputs: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*inputs, **named)
    return checkpoint(forward, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=contexts, **named)


def _contexts(norms: list[nn.Module]) -> tuple[Any, Any]:
    return nullcontext(), _untracked(norms)


@contextmanager
def _untracked(norms: list[nn.Module]) -> Iterator[None]:
    """Let batch norms update copies of their statistics; autograd needs some there (``track_running_stats``)."""
    originals = [dict(norm._buffers) for norm in norms]
    for norm, buffers in zip(norms, originals, strict=True):
        norm._buffers.update({name: buffer.clone() for name, buffer in buffers.items() if buffer is not None})
    try:
        yield
    finally:
        for norm, buffers in zip(norms, originals, strict=True):
            norm._buffers.update(buffers)
