"""The positions at which one tensor crosses a network, and the calls on both sides of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from unchoke.encoders.graph import trace_blocks, values_of

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


def all_cuts(places: Places) -> Iterator[Cut]:
    """The cuts before each block."""
    for blocks in range(1, len(places.blocks) + 1):
        if found := places.find(blocks):
            yield places.cut_at(blocks, found[1])
