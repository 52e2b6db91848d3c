"""One round of one pipeline, in a process of its own: a cold epoch and a warm one."""

import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch

from unchoke.encoders.compiled import compile_encoder
from unchoke.encoders.encoder import Encoder
from unchoke.errors import UnchokeError
from unchoke.machine.memory import budget_of, keep_budget, meter_of
from unchoke.machine.peaks import MARGIN, peak_of
from unchoke.machine.process_tree import PeakMemory, cpu_s, family
from unchoke.pipelines.entries import Pipeline
from unchoke.pipelines.table import Round
from unchoke.pipelines.work import Features, Work

_STARTER = multiprocessing.get_context("forkserver")
"""Its server imports our modules once and starts no thread; each round is a fork of it, without our memory."""


_LIMIT_S = 1200.0
"""Of a round; a pipeline that hangs shall not hang all."""
_GRACE_S = 5.0
"""For the end of a process that has answered."""


class Failed(Exception):
    """A pipeline raised an error, which is its text."""


class Done(NamedTuple):
    """What a process answers."""

    cold_s: float
    warm_s: float
    cpu_s: float
    compile_s: float
    features: Features


Measure = Callable[[Pipeline, Work, float], Done]
"""Does a cold epoch and a warm one of a pipeline, within a budget of memory, MB."""


def measure_extraction(pipeline: Pipeline, work: Work, vram_mb: float) -> Done:
    """Features of the sample, twice, with the encoder at work before."""
    torch.set_num_threads(work.threads)
    if work.device == "cuda":
        keep_budget(meter_of(torch.device("cuda")), vram_mb)
    work, own = pipeline.tuned(work), psutil.Process()
    encoder, compile_s = ready(work, vram_mb if pipeline.encoder else math.inf)
    seconds = []
    with pipeline.way.epochs(work, encoder) as epoch:
        drop_from_cache(pipeline.way.files(work))
        for _ in ("cold", "warm"):
            before_s, started = cpu_s(own), time.perf_counter()
            features = epoch()
            seconds.append(time.perf_counter() - started)
        return Done(seconds[0], seconds[1], cpu_s(own) - before_s, compile_s, features)


def run_round(
    pipeline: Pipeline, work: Work, vram_mb: float, measure: Measure = measure_extraction
) -> tuple[Round, Features]:
    """What a round took, and the features of its warm epoch; Failed where the pipeline raised an error."""
    found, peak_mb = in_process(measure, pipeline, work, vram_mb)
    return Round(found.cold_s, found.warm_s, found.cpu_s, peak_mb, found.compile_s), found.features


def in_process(measure: Callable[..., Any], *given: Any) -> tuple[Any, float]:
    """What a function gives in a process of its own, and the most memory of that, MB; Failed where it raised an error.

    Nothing of it is left when this returns or raises, processes of peers included.
    """
    _STARTER.set_forkserver_preload([__name__])
    ours, theirs = _STARTER.Pipe()
    process = _STARTER.Process(target=_serve, args=(theirs, measure, *given))
    process.start()
    theirs.close()
    root = psutil.Process(process.pid)
    try:
        with PeakMemory(root) as peak:
            if not ours.poll(_LIMIT_S):
                raise Failed(f"no answer within {_LIMIT_S:.0f} s")
            try:
                found = ours.recv()
            except EOFError:
                raise Failed("its process ended") from None
    finally:
        ours.close()
        _end(root, process)
    if isinstance(found, str):
        raise Failed(found)
    return found, peak.mb


def _end(root: psutil.Process, process: multiprocessing.process.BaseProcess) -> None:
    """Let a process end, which gives back its semaphores, and kill what is left of its family."""
    members = family(root)
    process.join(_GRACE_S)
    for each in reversed(members):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.join()


def _serve(answer: Connection, measure: Callable[..., Any], *given: Any) -> None:
    """In the process of a round: do it, and send what it took, or why it could not be done."""
    try:
        found = measure(*given)
    except KeyboardInterrupt:
        return
    except UnchokeError as error:
        found = " ".join(" ".join(str(error).splitlines()[:2]).split())
    except Exception as error:  # peers raise what they like
        found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    with suppress(EOFError, OSError):
        answer.send(found)
        answer.recv()  # the parent measures us until it closes its end


def ready(work: Work, budget_mb: float) -> tuple[Encoder, float]:
    """The encoder after its first batches, and the seconds that compiling it took; 0 where it is eager.

    UnchokeError where a batch takes more than the plan would let it: `budget_mb`; infinite for what is planned.
    """
    encoder, started, compile_s = work.encoder(), time.perf_counter(), 0.0
    if work.compiled:
        encoder = compile_encoder(encoder, work.settings.micro_batch)
        compile_s = time.perf_counter() - started
    meter, side_px = meter_of(encoder.device), encoder.image_size
    images = torch.zeros((work.settings.micro_batch, 3, side_px, side_px), dtype=torch.uint8)
    if math.isinf(budget_mb):
        encoder.encode(images)
        return encoder, compile_s
    peak_mb, most_mb = peak_of(lambda: encoder.encode_once(images), meter), MARGIN * budget_of(meter, budget_mb)
    if peak_mb is None or peak_mb > most_mb:
        found = "memory runs out" if peak_mb is None else f"a peak of {peak_mb:,.0f} MB"
        raise UnchokeError(f"{found} with batches of {len(images)}, more than {MARGIN:.0%} of gpu.vram_mb allow.")
    return encoder, compile_s


def drop_from_cache(files: Iterable[Path]) -> None:
    """Let the system forget the bytes of files that are on the disk, so that they are read from it anew.

    It does not where another process has them mapped, nor on file systems without a disk (tmpfs).
    """
    for file in files:
        try:
            handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            continue  # a missing file is an unreadable image, which every pipeline counts
        try:
            os.fdatasync(handle)
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)
