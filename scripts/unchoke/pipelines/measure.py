"""One round of one pipeline, in a process of its own: a cold epoch and a warm one."""

import multiprocessing
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import psutil
import torch

from unchoke.errors import UnchokeError
from unchoke.machine.memory import keep_budget, meter_of
from unchoke.machine.process_tree import PeakMemory, cpu_s, family
from unchoke.pipelines.entries import pipeline_named
from unchoke.pipelines.table import Round
from unchoke.pipelines.work import Features, Work

_STARTER = multiprocessing.get_context("forkserver")
"""Its server imports our modules once and starts no thread; each round is a fork of it, without our memory."""


_LIMIT_S = 1200.0
"""Of a round; a pipeline that hangs shall not hang all."""


class Failed(Exception):
    """A pipeline raised an error, which is its text."""


class _Done(NamedTuple):
    cold_s: float
    warm_s: float
    cpu_s: float
    features: Features


def run_round(name: str, work: Work, vram_mb: float) -> tuple[Round, Features]:
    """What a round took, and the features of its warm epoch; Failed where the pipeline raised an error.

    Nothing of it is left when this returns or raises, processes of peers included.
    """
    _STARTER.set_forkserver_preload([__name__])
    ours, theirs = _STARTER.Pipe(duplex=False)
    process = _STARTER.Process(target=_serve, args=(theirs, name, work, vram_mb))
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
        _end(root, process)
    if isinstance(found, str):
        raise Failed(found)
    return Round(found.cold_s, found.warm_s, found.cpu_s, peak.mb), found.features


def _end(root: psutil.Process, process: multiprocessing.process.BaseProcess) -> None:
    for each in reversed(family(root)):
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.join()


def _serve(answer: Connection, name: str, work: Work, vram_mb: float) -> None:
    """In the process of a round: do it, and send what it took, or why it could not be done."""
    try:
        found: _Done | str = _measure(name, work, vram_mb)
    except KeyboardInterrupt:
        return
    except UnchokeError as error:
        found = str(error).splitlines()[0]
    except Exception as error:  # peers raise what they like
        found = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    answer.send(found)
    time.sleep(60)  # our family is ended by the parent, which measures it meanwhile


def _measure(name: str, work: Work, vram_mb: float) -> _Done:
    torch.set_num_threads(work.threads)
    if work.device == "cuda":
        keep_budget(meter_of(torch.device("cuda")), vram_mb)
    way, encoder, own = pipeline_named(name).way, work.encoder(), psutil.Process()
    side_px = encoder.image_size
    encoder.encode(torch.zeros((work.settings.micro_batch, 3, side_px, side_px), dtype=torch.uint8))
    seconds = []
    with way.epochs(work, encoder) as epoch:
        drop_from_cache(way.files(work))
        for _ in ("cold", "warm"):
            before_s, started = cpu_s(own), time.perf_counter()
            features = epoch()
            seconds.append(time.perf_counter() - started)
        return _Done(seconds[0], seconds[1], cpu_s(own) - before_s, features)


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
