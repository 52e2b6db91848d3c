"""A network parted in two: what stays as it is, up to one tensor an image, and the last blocks, which are trained."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from unchoke.encoders.graph import trace_blocks, values_of
from unchoke.errors import UnchokeError

BATCHES = (5, 7)
"""Two numbers of images: what differs between them depends on the batch."""


@dataclass(frozen=True)
class Cut:
    """Where a network is parted."""

    blocks: int
    """How many of the last blocks lie behind it."""
    boundary: str
    """The last frozen module, or the name of the last frozen call, e.g. ``blocks.4.2``."""
    shape: tuple[int, ...]
    """Of the activation of one image."""


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


class Places:
    """The positions in a model's calls at which it can be parted, for one size of image."""

    def __init__(self, model: nn.Module, image_size: int | tuple[int, int]) -> None:
        self.model = model
        graph, self.blocks = trace_blocks(model)
        self.nodes = list(graph.nodes)
        self.place = {node: place for place, node in enumerate(self.nodes)}
        size = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.few, self.more = (values_of(model, graph, batch, size) for batch in BATCHES)
        self.holds_data: dict[fx.Node, bool] = {}
        for node in self.nodes:  # sizes are no data: the trained part knows them, or sees them in its own input
            inputs = any(self.holds_data[before] for before in node.all_input_nodes)
            self.holds_data[node] = has_tensor(self.few[node]) and (node.op == "placeholder" or inputs)

    def find(self, blocks: int) -> tuple[int, fx.Node] | None:
        """The last position before the last `blocks` blocks that one tensor crosses, and what gives it, or None."""
        index = len(self.blocks) - blocks
        first = self.place[self.blocks[index - 1]] + 1 if index else 1
        for place in range(self.place[self.blocks[index]], first - 1, -1):
            crossing = self.crossing(place)
            if crossing is not None:
                return place, crossing
        return None

    def crossing(self, place: int) -> fx.Node | None:
        """The one tensor that the calls from `place` on need of those before, images first; None if it is not one."""
        found: set[fx.Node] = set()
        waiting = [before for node in self.nodes[place:] for before in node.all_input_nodes]
        seen: set[fx.Node] = set()
        while waiting:
            node = waiting.pop()
            if node in seen or self.place[node] >= place:
                continue
            seen.add(node)
            if self.holds_data[node]:
                found.add(node)
            elif has_tensor(self.few[node]):
                waiting += node.all_input_nodes
            elif not known(self.few[node], self.more[node]):
                return None
        if len(found) != 1:
            return None
        (node,) = found
        return node if self.is_batch(node) else None

    def is_batch(self, node: fx.Node) -> bool:
        """Whether a node gives one tensor with a row for each image, and is not the images themselves."""
        few, more = self.few[node], self.more[node]
        return (
            node.op != "placeholder"
            and isinstance(few, torch.Tensor)
            and few.ndim > 1
            and (few.shape[0], more.shape[0]) == BATCHES
            and few.shape[1:] == more.shape[1:]
        )

    def cut_at(self, blocks: int, crossing: fx.Node) -> Cut:
        """The cut at which `crossing` is the activation."""
        name = crossing.target if crossing.op == "call_module" else crossing.name
        return Cut(blocks, str(name), tuple(self.few[crossing].shape[1:]))

    def front(self, place: int, crossing: fx.Node) -> fx.Graph:
        """The calls before `place`, which end in `crossing`."""
        graph = fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        for node in self.nodes[:place]:
            copies[node] = graph.node_copy(node, copies.__getitem__)
        graph.output(copies[crossing])
        for node in reversed(self.nodes[:place]):
            if not self.holds_data[node] and not copies[node].users:
                graph.erase_node(copies[node])  # used behind the cut alone, where it may be trained
        return graph

    def back(self, place: int, crossing: fx.Node) -> fx.Graph:
        """The calls from `place` on, which begin with `crossing`; sizes and constants of before are found anew."""
        graph = fx.Graph()
        copies: dict[fx.Node, Any] = {crossing: graph.placeholder("x")}
        x = copies[crossing]
        about = {"batch": graph.call_method("size", (x, 0)), "like": x}

        def copy(node: fx.Node) -> Any:
            if node in copies:
                return copies[node]
            if self.place[node] >= place or has_tensor(self.few[node]) or node.op == "get_attr":
                copies[node] = graph.node_copy(node, copy)
            else:
                copies[node] = anew(graph, self.few[node], self.more[node], about)
            return copies[node]

        for node in self.nodes[place:]:
            copy(node)
        if not about["batch"].users:
            graph.erase_node(about["batch"])
        return graph


def has_tensor(value: Any) -> bool:
    """Whether a value is a tensor or holds one."""
    if isinstance(value, Mapping):
        return any(map(has_tensor, value.values()))
    if isinstance(value, Sequence) and not isinstance(value, str | torch.Size):
        return any(map(has_tensor, value))
    return isinstance(value, torch.Tensor)


def known(few: Any, more: Any) -> bool:
    """Whether a value that holds no tensor is the same for every batch, or the number of images, or made of such."""
    if isinstance(few, tuple | list):
        return len(few) == len(more) and all(map(known, few, more))
    return few == more or (few, more) == BATCHES


def anew(graph: fx.Graph, few: Any, more: Any, about: Mapping[str, fx.Node]) -> Any:
    """A ``known`` value in a graph that has the batch's size and a tensor of its dtype and device."""
    if isinstance(few, tuple | list):
        return tuple(anew(graph, one, other, about) for one, other in zip(few, more, strict=True))
    if isinstance(few, torch.dtype | torch.device):
        return graph.call_function(getattr, (about["like"], "dtype" if isinstance(few, torch.dtype) else "device"))
    return few if few == more else about["batch"]


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


def all_cuts(places: Places) -> Iterator[Cut]:
    """The cuts before each block."""
    for blocks in range(1, len(places.blocks) + 1):
        if found := places.find(blocks):
            yield places.cut_at(blocks, found[1])


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
            do="correct blocks",
        )
    found = places.find(blocks)
    if found is None:
        there_are = ranges([cut.blocks for cut in all_cuts(places)])
        raise UnchokeError(
            "The network cannot be cut before this block: more than one tensor crosses there.",
            found=f"blocks: {blocks} of {len(places.blocks)} in {type(model).__name__}",
            expected=f"{there_are}, or all" if there_are else "all: this network has no cut",
            do="correct blocks, or take another encoder",
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
