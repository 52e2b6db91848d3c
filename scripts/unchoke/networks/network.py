"""A network in its parts: what is frozen, what is trained, and what training must know of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from unchoke.networks.layers import Draws, drop_inputs, key_layers, recompute, train_mode


@dataclass(frozen=True)
class Network:
    """A network to be trained, with its first weights."""

    model: nn.Module
    """All of it, as timm made it: says which parameter belongs to which layer."""
    trained: nn.Module
    """The part that is trained, to logits (B, C); its parameters are the model's, under the same names."""
    frozen: nn.Module | None = None
    """The part that runs before, without gradients; None where the network reads activations, or is trained whole."""
    classifier: nn.Module | tuple[nn.Module, ...] | None = None
    """The last layer, or two of them side by side, whose inputs `dropout` leaves out."""
    blocks: Sequence[nn.Module] = ()
    """Blocks of the trained part, for `checkpointing`."""
    frozen_norm: bool = True
    """Whether batch norm keeps its statistics."""
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    """Of pixels from 0 to 1."""
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def prepared(self, device: torch.device, draws: Draws, *, dropout: float, checkpointing: bool) -> "Network":
        """The same on a device, with layers whose masks come from `draws`. The network is used up.

        Of the model, what is neither frozen nor trained stays where it is: cached activations need no part of it.
        """
        for part in filter(None, (self.trained, self.frozen)):
            part.to(device).to(memory_format=torch.channels_last)
        if self.frozen is not None:
            self.frozen.eval().requires_grad_(False)
        key_layers(self.trained, draws)
        last = self.classifier if isinstance(self.classifier, tuple) else (self.classifier,)
        drop_inputs([layer for layer in last if layer is not None], dropout, draws)
        if checkpointing:
            recompute(self.blocks)
        return replace(self, blocks=())

    def train(self, *, single: bool = False) -> None:
        """Put the trained part into training. single: a micro-batch has one image, which is too few for statistics."""
        train_mode(self.trained, frozen_norm=self.frozen_norm or single)

    def inputs(self, x: torch.Tensor) -> torch.Tensor:
        """What the first part sees of activations float16 or pixels uint8 (B, 3, H, W): float32."""
        if x.dtype != torch.uint8:
            return x.float()
        mean, std = (torch.tensor(values, device=x.device).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return x.float().div_(255).sub_(mean).div_(std).contiguous(memory_format=torch.channels_last)

    def activations(self, x: torch.Tensor) -> torch.Tensor:
        """What the trained part sees of inputs."""
        if self.frozen is None:
            return x
        with torch.no_grad():
            found: torch.Tensor = self.frozen(x)
        return found
