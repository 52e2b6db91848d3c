"""Stage: the way of an encoder, eager or compiled: what compiling saves on this machine, and what it costs.

    <results>/plans/<encoder>.way.json          the way; an input of every chunk, so it holds nothing measured
    <results>/plans/<encoder>.compiling.json    the way, why, and what was measured

All chunks of a store are made one way. Where a store has chunks, `auto` keeps their way.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from unchoke.encoders.compiled import compile_encoder, keep_compiled, why_eager
from unchoke.encoders.encoder import Encoder
from unchoke.encoders.lanes import ONE_LANE, Lanes
from unchoke.errors import UnchokeError
from unchoke.machine.memory import Meter
from unchoke.machine.peaks import MARGIN, peak_of
from unchoke.signed import read_signed

ON, AUTO = "on", "auto"
SHORTEST_S = 60.0
"""Encoding that takes less gains nothing: compiling alone takes 10 to 70 s."""
MARGIN_OF_TIME = 2.0
"""What compiling saves must be so many times what it costs: a worker that starts again pays a part of it again."""
LEAST_GAIN = 1.1
"""Eager time over compiled time of a batch below which the difference may be noise."""
_ROUNDS = 5


@dataclass(frozen=True)
class Work:
    """What an encoder is to do."""

    images: int
    """Images times views."""
    micro_batch: int
    threads_before: int | None = None
    """Threads that the chunks which are there were compiled for, 0: they are eager; None where there are none."""
    lanes: Lanes = ONE_LANE
    """Batches that chunks encode at once; each is measured with the threads of a lane."""


def choose_way(
    encoder: Encoder,
    work: Work,
    asked: str,
    meter: Meter,
    budget_mb: float,
    compiler: Callable[[Encoder, int], Encoder] = compile_encoder,
) -> dict[str, Any]:
    """The way of an encoder, by ``compile`` of the config.

    asked: `on` or `auto`. budget_mb: for the peak of the compiled encoder. compiler: as ``compile_encoder``. The result
    has ``compiled_threads``, 0 where it is eager, ``why``, and the seconds and MB measured. Raises UnchokeError where
    `on`, or a store with compiled chunks, asks for what cannot be had.
    """
    if threads := work.threads_before or work.lanes.threads:
        torch.set_num_threads(threads)
    must = asked == ON or bool(work.threads_before)
    if not must and (reason := _why_not(encoder, work)):
        return {"compiled_threads": 0, **reason}
    try:
        found = _measure(encoder, work, meter, compiler)
    except UnchokeError as error:
        if must:
            raise
        return {"compiled_threads": 0, "why": str(error)}
    threads, fits = torch.get_num_threads(), (found["peak_mb"] or float("inf")) <= MARGIN * budget_mb
    if must and not fits:
        raise _too_large(encoder, found["peak_mb"], budget_mb)
    if must:
        return {
            "compiled_threads": threads,
            "why": "the config asks" if asked == ON else "as the chunks that are there",
            **found,
        }
    pays = found["saved_s"] > MARGIN_OF_TIME * found["compile_s"] and found["gain"] >= LEAST_GAIN
    why = f"{found['gain']:.2f} times as fast: saves {found['saved_s']:.0f} s, costs {found['compile_s']:.0f} s"
    return {
        "compiled_threads": threads if pays and fits else 0,
        "why": why if fits else f"beyond the memory budget; {why}",
        **found,
    }


def _why_not(encoder: Encoder, work: Work) -> dict[str, Any]:
    """Why nothing needs to be measured, and the eager time where it is why; empty where something does."""
    if work.threads_before == 0:
        return {"why": "as the chunks that are there"}
    if reason := why_eager(encoder.device):
        return {"why": reason}
    images = _blank(encoder, work.micro_batch)
    encoder.encode_once(images)
    eager_s = _seconds(encoder, images)
    if (whole_s := eager_s * _rounds(work)) < SHORTEST_S:
        return {"why": f"all images take {whole_s:.0f} s, too little to gain", "eager_s": eager_s}
    return {}


def _measure(encoder: Encoder, work: Work, meter: Meter, compiler: Callable[[Encoder, int], Encoder]) -> dict[str, Any]:
    """Seconds of a batch either way, in turn, the least of some; those of compiling; and the compiled peak, MB."""
    images, started = _blank(encoder, work.micro_batch), time.perf_counter()
    compiled = compiler(encoder, work.micro_batch)
    compile_s = time.perf_counter() - started
    peak_mb = peak_of(lambda: compiled.encode_once(images), meter)
    encoder.encode_once(images)
    rounds = [(_seconds(encoder, images), _seconds(compiled, images)) for _ in range(_ROUNDS)]
    eager_s, compiled_s = (min(times) for times in zip(*rounds, strict=True))
    return {
        "eager_s": eager_s,
        "compiled_s": compiled_s,
        "compile_s": compile_s,
        "gain": eager_s / compiled_s,
        "saved_s": (eager_s - compiled_s) * _rounds(work),
        "peak_mb": peak_mb,
    }


def _seconds(encoder: Encoder, images: torch.Tensor) -> float:
    started = time.perf_counter()
    encoder.encode_once(images)
    return time.perf_counter() - started


def _blank(encoder: Encoder, micro_batch: int) -> torch.Tensor:
    return torch.zeros((micro_batch, 3, encoder.image_size, encoder.image_size), dtype=torch.uint8)


def _rounds(work: Work) -> float:
    """How often every lane has a batch."""
    return -(-work.images // work.micro_batch) / work.lanes.at_once


def _too_large(encoder: Encoder, peak_mb: float | None, budget_mb: float) -> UnchokeError:
    return UnchokeError(
        "The compiled encoder does not fit the memory budget.",
        found=f"a peak of {peak_mb:.0f} MB" if peak_mb else "memory ran out",
        expected=f"at most {MARGIN * budget_mb:.0f} MB, {MARGIN:.0%} of gpu.vram_mb",
        where=f"{encoder.card['model']} at {encoder.image_size} px",
        do="lower encoders.<name>.micro_batch, or set compile: off",
    )


def in_its_way(encoder: Encoder, way: Path | None, micro_batch: int) -> Encoder:
    """The encoder as a way's file says, compiled once a process, with torch's threads set to its own; None: eager."""
    if way is None or not (threads := read_signed(way, "way of an encoder")["compiled_threads"]):
        return encoder
    torch.set_num_threads(threads)
    return keep_compiled(encoder, micro_batch)
