"""Encoders that torch.compile has compiled: less time a batch on a processor, nearly the same features.

The features of one micro-batch have one shape, so code is made for that shape alone. Code for another number of threads
gives other last bits, and torch would compile anew where the number changes, without frozen weights. So this number is
fixed with the way of a store, and its chunks have the same bytes with any ``--cores``.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import torch

from unchoke.encoders.compile_cache import kept_code
from unchoke.encoders.encoder import Encoder, Forward
from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_json

Compiler = Callable[[Forward], Forward]
_ENCODERS = 64
"""Compiled encoders that one process may have; torch's own limit of 8 is for all of one function."""


def why_eager(device: torch.device) -> str:
    """Why encoders cannot be compiled here; empty where they can."""
    if device.type != "cpu":
        return f"compiling was measured on processors only, and the device is {device.type}"
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except (InvalidCxxCompiler, RuntimeError, OSError):
        return "there is no C++ compiler (g++ or clang++)"
    return ""


def by_inductor(forward: Forward) -> Forward:
    """`forward` as torch.compile makes it, at its first call; one graph, so that no part is eager in silence."""
    torch._dynamo.config.recompile_limit = _ENCODERS
    return torch.compile(forward, fullgraph=True, dynamic=False)


def _frozen_weights() -> AbstractContextManager[None]:
    """Within the context, inductor takes weights as constants. As options of torch.compile, Dynamo misses it.

    All of a graph is one call of C++, which lets other lanes compute; Python would hold its lock in each kernel.
    """
    from torch._inductor import config

    threads = torch.get_num_threads()
    settings = {"freezing": True, "cpp_wrapper": True, "cpp.threads": threads, "compile_threads": threads}
    return config.patch(settings)  # type: ignore[no-any-return]


def compile_encoder(encoder: Encoder, micro_batch: int, compiler: Compiler = by_inductor) -> Encoder:
    """The encoder, compiled for batches of `micro_batch` images and torch's number of threads, and run once.

    Code is taken from the cache where it is there. Raises UnchokeError where there is no compiler, or the model cannot
    be compiled.
    """
    if reason := why_eager(encoder.device):
        raise _cannot(encoder, reason)
    images = torch.zeros((micro_batch, 3, encoder.image_size, encoder.image_size), dtype=torch.uint8)
    try:
        with kept_code(_key(encoder, micro_batch)), _frozen_weights():
            compute = compiler(encoder.forward)
            compiled = replace(encoder, compiled=compute, compiled_threads=torch.get_num_threads())
            compiled.encode_once(images)
    except (RuntimeError, OSError, ImportError) as error:
        raise _cannot(encoder, _first_line(error)) from error
    return compiled


_KEPT = 4
_kept: dict[tuple[int, int, int], tuple[Encoder, Encoder]] = {}


def keep_compiled(encoder: Encoder, micro_batch: int) -> Encoder:
    """As ``compile_encoder``, once a process for each of the last encoders."""
    key = (id(encoder), micro_batch, torch.get_num_threads())
    if key not in _kept:
        while len(_kept) >= _KEPT:
            _kept.pop(next(iter(_kept)))
        _kept[key] = encoder, compile_encoder(encoder, micro_batch)  # the first holds the id
    return _kept[key][1]


def _key(encoder: Encoder, micro_batch: int) -> str:
    """Names the code of an encoder: whatever it is made from."""
    facts = {
        "sha256": encoder.card["sha256"],
        "size": encoder.image_size,
        "arrays": encoder.arrays,
        "micro_batch": micro_batch,
        "threads": torch.get_num_threads(),
        "wrapper": "cpp",
        "torch": torch.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "library": str(Path(torch.__file__).parent),
    }
    return sha256_json(facts)[:16]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def _cannot(encoder: Encoder, found: str) -> UnchokeError:
    return UnchokeError(
        "The encoder cannot be compiled.",
        found=found,
        expected="a processor as the device, a C++ compiler, and a model that torch.compile knows whole",
        where=f"{encoder.card['model']}, encoders.<name>.compile",
        do="install g++, or set compile: off, which makes stored features of this encoder anew",
    )
