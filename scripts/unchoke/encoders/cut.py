"""A network parted in two: what stays as it is, up to one tensor an image, and the last blocks, which are trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn

from unchoke.encoders.graph import trace_blocks
from unchoke.encoders.places import Cut, Places, all_cuts
from unchoke.errors import UnchokeError


@dataclass(frozen=True)
class Parts:
    """Both sides of a cut; ``trained(frozen(images))`` is the model, bit for bit where it runs on a CPU."""

    frozen: "FrozenPart"
    trained: "TrainedPart"
    cut: Cut


class Part(nn.Module):
    """Some calls of a model, on its own modules, parameters and buffers under their own names.

    Whatever is done to their tensors is done to the model's, and a state dict holds entries of the model's state dict.
    """

    def __init__(self, model: nn.Module, graph: fx.Graph, cut: Cut) -> None:
        super().__init__()
        for node in graph.nodes:
            if node.op in ("call_module", "get_attr"):
                share(model, self, node.target)
        self.cut = cut
        self._run = type(fx.GraphModule(self, graph)).forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the model gives at the end of these calls for what came out of the calls before."""
        found: torch.Tensor = self._run(self, x)
        return found


class FrozenPart(Part):
    """From normalised images (B, 3, H, W) to activations (B, *cut.shape), without gradients."""

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Activations of a batch of images, in evaluation also where ``train()`` of the model was called."""
        return super(FrozenPart, self.eval()).forward(x)


class TrainedPart(Part):
    """From activations (B, *cut.shape) to the model's output: the last blocks, and all that lies behind the cut."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of a batch of activations; UnchokeError where they come from another cut."""
        if tuple(x.shape[1:]) != self.cut.shape:
            raise UnchokeError(
                "The activations do not fit the trained part of the network.",
                found=f"shape {tuple(x.shape[1:])} an image",
                expected=f"{self.cut.shape}, from {self.cut.boundary}",
                do="compute the activations again",
            )
        return super().forward(x)


def share(model: nn.Module, part: nn.Module, name: str) -> None:
    """Give `part` the module, parameter, buffer or setting that has this dotted name in `model`."""
    *path, last = name.split(".")
    for step in path:
        model = model.get_submodule(step)
        if step not in part._modules:
            part.add_module(step, nn.Module())
        part = part.get_submodule(step)
    value = getattr(model, last)
    if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
        part.register_buffer(last, value, persistent=last not in model._non_persistent_buffers_set)
    else:
        setattr(part, last, value)


def blocks_of(model: nn.Module) -> list[str]:
    """Names of a model's residual, transformer and inverted-residual blocks, in forward order.

    Raises UnchokeError where it has none, or torch.fx cannot follow its forward pass.
    """
    return [str(node.target) for node in trace_blocks(model)[1]]


def block_count(model: nn.Module) -> int:
    """How many blocks a model has; errors as ``blocks_of``."""
    return len(blocks_of(model))


def cuts_of(model: nn.Module, image_size: int | tuple[int, int]) -> list[Cut]:
    """All cuts of a model at which one tensor crosses, the last first; errors as ``cut_network``.

    Of a model on torch's device ``meta`` too: nothing is computed.
    """
    return list(all_cuts(Places(model, image_size)))


def cut_network(model: nn.Module, blocks: int, image_size: int | tuple[int, int]) -> Parts:
    """Part a model before the last `blocks` of its residual, transformer or inverted-residual blocks.

    image_size: of the images that it shall see, or their height and width, px; timm's ``set_input_size`` comes before.
    The model is used up: both parts hold its own tensors. It is put into evaluation, the frozen part's parameters
    need no gradient any more, and the trained part's need one unless the frozen part uses them too.
    Raises UnchokeError where the model has fewer blocks, more than one tensor crosses there, or torch.fx cannot follow.
    """
    places = Places(model, image_size)
    if not 1 <= blocks <= len(places.blocks):
        raise UnchokeError(
            "The network cannot be cut before this block.",
            found=f"blocks: {blocks}",
            expected=f"1 to {len(places.blocks)}, as many blocks as {type(model).__name__} has; or all",
            do="correct networks.*.blocks",
        )
    found = places.find(blocks)
    if found is None:
        there_are = ranges([cut.blocks for cut in all_cuts(places)])
        raise UnchokeError(
            "The network cannot be cut before this block: more than one tensor crosses there.",
            found=f"blocks: {blocks} of {len(places.blocks)} in {type(model).__name__}",
            expected=f"{there_are}, or all" if there_are else "all: this network has no cut",
            do="correct networks.*.blocks, or take another encoder",
        )
    cut = places.cut_at(blocks, found[1])
    trained = TrainedPart(model, places.back(*found), cut).requires_grad_(True).eval()
    frozen = FrozenPart(model, places.front(*found), cut).requires_grad_(False).eval()
    return Parts(frozen, trained, cut)


def ranges(numbers: Sequence[int]) -> str:
    """Increasing numbers in words: ``1, 3 to 5``."""
    text, start = [], 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or numbers[end] != numbers[end - 1] + 1:
            first, last = numbers[start], numbers[end - 1]
            text.append(f"{first}" if first == last else f"{first} to {last}")
            start = end
    return ", ".join(text)
