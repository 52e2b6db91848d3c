"""A network as a graph of calls, in which blocks stay whole: where it can be cut."""

import copy
import inspect
import re
from collections.abc import Iterator
from typing import Any

import torch
from timm.models import get_notrace_functions
from torch import fx, nn

from unchoke.errors import UnchokeError

BLOCK = re.compile(
    r"Block|Bottle2?neck|Residual"
    r"|^(DepthwiseSeparableConv|RepDepthwiseSeparable|MBConv|MobileAttention|PreActBasic|SelectiveKernelBasic"
    r"|TransformerLayer|Outlooker|ConvEncoder|(Pre)?XceptionModule)$"
)
"""Class names of residual, transformer and inverted-residual blocks in timm."""
MORE_BLOCKS = {("timm.models.volo", "Transformer")}  # elsewhere a stage has this name
NO_BLOCKS = {
    ("timm.models.fasternet", "Block"),  # a stage of MLPBlocks
    ("timm.models.iformer", "StageBlock"),
    ("timm.models.shvit", "StageBlock"),
    ("timm.models.fastvit", "MobileOneBlock"),  # convolutions of the stem and behind the last stage
    ("timm.models.hgnet", "LearnableAffineBlock"),  # one factor and one shift
}
"""Module and name of classes that are called blocks and are none."""


def is_block(module: nn.Module) -> bool:
    """Whether a module's class is that of a residual, transformer or inverted-residual block."""
    kind = (type(module).__module__, type(module).__name__)
    return kind in MORE_BLOCKS or (bool(BLOCK.search(kind[1])) and kind not in NO_BLOCKS)


def outermost_blocks(module: nn.Module, prefix: str = "") -> Iterator[str]:
    """Names of all blocks, in the order of their definition; none lies in another."""
    for name, child in module.named_children():
        if is_block(child):
            yield prefix + name
        else:
            yield from outermost_blocks(child, f"{prefix}{name}.")


class BlockTracer(fx.Tracer):
    """Records the calls of a network. Modules that hold no block are one call each, and so are the blocks.

    What they do is not recorded, so they keep their own control flow: dropout and drop-path still ask for `training`.
    """

    proxy_buffer_attributes = True

    def __init__(self, blocks: set[str]) -> None:
        super().__init__(autowrap_functions=tuple(get_notrace_functions()))  # type: ignore[no-untyped-call]
        parents = (block.split(".")[:-1] for block in blocks)
        self._parted = {".".join(path[: depth + 1]) for path in parents for depth in range(len(path))}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one call."""
        return module_qualified_name not in self._parted

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """The images are the one input; masks and switches keep their defaults."""
        return root_fn, [self.root, self.create_proxy("placeholder", "x", (), {})]


def trace_blocks(model: nn.Module) -> tuple[fx.Graph, list[fx.Node]]:
    """The calls of a model in evaluation, and those among them that are blocks, in forward order.

    Raises UnchokeError where the model has no block, or decides by its values what it does next.
    """
    blocks = set(outermost_blocks(model))
    if not blocks:
        raise UnchokeError(
            "The network has no blocks that could be trained.",
            found=f"0 residual, transformer or inverted-residual blocks in {type(model).__name__}",
            do="set networks.*.blocks: all, or take another encoder",
        )
    try:
        graph = BlockTracer(blocks).trace(model.eval())
    except Exception as error:  # of any kind: code of any model runs here
        raise UnchokeError(
            "The network cannot be cut: torch.fx cannot follow its forward pass.",
            found=f"{type(model).__name__}: {first_line(error)}",
            do="set networks.*.blocks: all, or take another encoder",
        ) from error
    ask_for_training(graph)
    return graph, [node for node in graph.nodes if node.op == "call_module" and node.target in blocks]


def ask_for_training(graph: fx.Graph) -> None:
    """Let functions that were recorded with ``training=False`` (``F.dropout``) read the module's state at each call."""
    for node in list(graph.nodes):
        if node.op != "call_function" or "training" not in parameters_of(node.target):
            continue
        given = inspect.signature(node.target).bind(*node.args, **node.kwargs).arguments
        with graph.inserting_before(node):
            given["training"] = graph.create_node("get_attr", "training")
        node.args, node.kwargs = (), given


def parameters_of(function: Any) -> list[str]:
    """Names of a function's parameters; none of a function written in C."""
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


def first_line(error: Exception) -> str:
    """An error's kind and the first line of its text, 200 characters at most."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"[:200]


class Recorder(fx.Interpreter):
    """Runs a graph and keeps what each of its nodes gives."""

    def __init__(self, model: nn.Module, graph: fx.Graph) -> None:
        super().__init__(model, garbage_collect_values=False, graph=graph)
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        """As ``fx.Interpreter`` does, with the value kept."""
        self.values[n] = super().run_node(n)
        return self.values[n]


def values_of(model: nn.Module, graph: fx.Graph, batch: int, size: tuple[int, int]) -> dict[fx.Node, Any]:
    """What each node gives for a batch of RGB images of `size` (height, width), px: shapes alone, nothing is computed.

    Raises UnchokeError where the model cannot see this size.
    """
    shapes = without_values(model)
    recorder = Recorder(shapes, graph)
    try:
        with torch.no_grad():
            recorder.run(torch.empty(batch, 3, *size, dtype=next(shapes.parameters()).dtype, device="meta"))
    except Exception as error:  # of any kind: code of any model runs here
        raise UnchokeError(
            "The network cannot be run on images of this size.",
            found=f"{type(model).__name__}, {size[0]} × {size[1]} px: {first_line(error)}",
            do="correct image_size",
        ) from error
    return recorder.values


def without_values(model: nn.Module) -> nn.Module:
    """A copy of a model on torch's device ``meta``; the values are never copied."""
    memo: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    memo |= {id(value): nn.Parameter(value.detach().to("meta"), requires_grad=False) for value in model.parameters()}
    return copy.deepcopy(model, memo)
