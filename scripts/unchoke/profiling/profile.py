"""Stage: the profile of one encoder: each step of extraction by itself, and the whole run without it."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from unchoke.encoders.encoder import Encoder
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Chunk, Extraction
from unchoke.features.images import extract_chunk
from unchoke.images.steps import BATCH_STEPS, DECODE, STEPS, TO_DEVICE, Steps
from unchoke.names import LEAST_PROFILED
from unchoke.profiling.idle import NO_CARD, Watched, idle_shares
from unchoke.profiling.slowest import slowest_images
from unchoke.profiling.steps import Keeping, Timed, Without
from unchoke.profiling.verdict import Gain, bottleneck_of, gain_of, noise_of, verdict

LEAST_ROUNDS, MOST_ROUNDS = 3, 7
WHOLE, AGAIN, ALONE, DRAFT, WATCHED = "the whole run", "the whole run again", "one by one", "JPEG draft", "watched"


@dataclass(frozen=True)
class Sample:
    """The images that are profiled, and how they are read."""

    kind: str
    root: Path
    paths: list[str]
    threads: int


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    seconds: float
    """About how long; at least three rounds are made."""
    images: int
    seed: int


def draw_sample(paths: Sequence[str], effort: Effort) -> list[str]:
    """At most `effort.images` of the paths, in their order; UnchokeError where there are too few to measure."""
    _refuse_few(len(paths), "images")
    places = np.random.default_rng(effort.seed).permutation(len(paths))[: effort.images]
    return [paths[place] for place in sorted(places)]


def _refuse_few(count: int, what: str) -> None:
    if count < LEAST_PROFILED:
        raise UnchokeError(
            "There are too few images to measure.",
            found=f"{count} {what}",
            expected=f"at least {LEAST_PROFILED} that can be read",
            do="add images that can be read; unreadable ones stand in quarantine.csv",
        )


def profile_pipeline(sample: Sample, encoder: Encoder, settings: Extraction, effort: Effort) -> dict[str, Any]:
    """Every step of extraction timed by itself, and the same extraction run without each, in interleaved rounds.

    The result is plain JSON. UnchokeError where too few images of the sample can be read.
    """
    started, keeping = time.perf_counter(), Keeping()
    invalid = _run(sample, encoder, settings, keeping)[1]
    sample = replace(sample, paths=[path for path in sample.paths if path not in invalid])
    _refuse_few(len(sample.paths), f"readable images of {len(sample.paths) + len(invalid)}")
    absent = _absent(keeping, encoder)
    arms: dict[str, Steps] = {step: Without(step, keeping) for step in STEPS if step not in absent}
    rounds = _rounds(sample, encoder, settings, arms, keeping, effort)
    return {
        **_judged(rounds, list(arms)),
        "absent": absent,
        "images": len(rounds.sample.paths),
        "unreadable": invalid,
        "rounds": len(rounds.seconds[WHOLE]),
        "threads": sample.threads,
        "device": encoder.device.type,
        "image_size": encoder.image_size,
        "micro_batch": settings.micro_batch,
        "slowest": slowest_images(rounds.by_picture(), keeping.pictures),
        "idle": rounds.idle() or {"reason": NO_CARD},
        "took_s": time.perf_counter() - started,
    }


def _run(
    sample: Sample, encoder: Encoder, settings: Extraction, steps: Steps, threads: int | None = None
) -> tuple[float, dict[str, str], list[Chunk]]:
    """Extract the sample in chunks: seconds, the reasons of unreadable images by path, and the chunks."""
    _forget(sample)
    watched, chunks = replace(encoder, steps=steps), []
    found: dict[str, str] = {}
    started = time.perf_counter()
    for first in range(0, len(sample.paths), settings.chunk_size):
        paths = sample.paths[first : first + settings.chunk_size]
        rows = pd.DataFrame({"image_id": range(len(paths)), "path": paths, "size_bytes": 0, "mtime_ns": 0})
        count = sample.threads if threads is None else threads
        chunk = extract_chunk(rows, sample.root, watched, settings, count, sample.kind, steps=steps)
        found |= {paths[place]: reason for place, reason in chunk.invalid.items()}
        chunks.append(chunk)
    return time.perf_counter() - started, found, chunks


def _forget(sample: Sample) -> None:
    """Drop the files from the system's cache, where it allows that, so that they are read from the disk."""
    for path in sample.paths:
        with suppress(OSError, ValueError, AttributeError):
            handle = os.open(sample.root / path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(handle)


def _absent(keeping: Keeping, encoder: Encoder) -> dict[str, str]:
    """Steps that do nothing here, with the reason."""
    absent = {}
    if all(picture["format"] == "array" for picture in keeping.pictures.values()):
        absent[DECODE] = "the source holds pixels, which need no decoder"
    if encoder.device.type == "cpu":
        absent[TO_DEVICE] = "the encoder runs on the processor, where the pictures are"
    return absent


@dataclass
class _Rounds:
    """What was measured, by arm and round."""

    sample: Sample
    seconds: dict[str, list[float]]
    timed: list[Timed]
    watched: list[dict[str, float]]

    def by_picture(self) -> dict[str, dict[str, float]]:
        """Median seconds over rounds of each step of each picture."""
        return {
            path: {step: median(timed.by_picture[path][step] for timed in self.timed) for step in steps}
            for path, steps in self.timed[0].by_picture.items()
        }

    def idle(self) -> dict[str, float]:
        """Median shares over rounds; empty where no card was watched."""
        return {cause: median(shares[cause] for shares in self.watched) for cause in (self.watched or [{}])[0]}


def _rounds(
    sample: Sample, encoder: Encoder, settings: Extraction, arms: Mapping[str, Steps], keeping: Keeping, effort: Effort
) -> _Rounds:
    """Rounds of all arms, each round in an order of its own, as many as the time allows."""
    names = [WHOLE, AGAIN, ALONE, *arms]
    if not settings.jpeg_draft and any(picture["format"] == "JPEG" for picture in keeping.pictures.values()):
        names.append(DRAFT)
    if encoder.device.type == "cuda":
        names.append(WATCHED)
    started, random = time.perf_counter(), np.random.default_rng(effort.seed)
    pace = _run(sample, encoder, settings, Steps())[0] / len(sample.paths)
    fits = int(effort.seconds / (pace * (len(names) + sample.threads) * LEAST_ROUNDS))
    count = min(len(sample.paths), max(LEAST_PROFILED, fits))
    rounds = _Rounds(replace(sample, paths=sample.paths[:count]), {name: [] for name in names}, [], [])
    while len(rounds.timed) < MOST_ROUNDS:
        before = time.perf_counter()
        for place in random.permutation(len(names)):
            _measure(rounds, names[place], encoder, settings, arms)
        now = time.perf_counter()
        if len(rounds.timed) >= LEAST_ROUNDS and now - started + (now - before) > effort.seconds:
            break
    return rounds


def _measure(rounds: _Rounds, name: str, encoder: Encoder, settings: Extraction, arms: Mapping[str, Steps]) -> None:
    steps, threads = arms.get(name, Steps()), None
    if name == ALONE:
        steps, threads = Timed(encoder.device), 0
        rounds.timed.append(steps)
    if name == WATCHED:
        steps = Watched()
    if name == DRAFT:
        settings = replace(settings, jpeg_draft=True)
    seconds, _, chunks = _run(rounds.sample, encoder, settings, steps, threads)
    rounds.seconds[name].append(seconds / len(rounds.sample.paths))
    if isinstance(steps, Watched):
        encode_s = sum(chunk.seconds["encode"] for chunk in chunks)
        rounds.watched.append(idle_shares(seconds, encode_s, steps.busy_s()))


def _judged(rounds: _Rounds, steps: list[str]) -> dict[str, Any]:
    """Times, gains and the verdict."""
    whole_R, count = rounds.seconds[WHOLE], len(rounds.sample.paths)
    gains = [gain_of(step, whole_R, rounds.seconds[step]) for step in steps]
    remedies = {DECODE: gain_of(DRAFT, whole_R, rounds.seconds[DRAFT])} if DRAFT in rounds.seconds else {}
    noise = noise_of(gain_of(AGAIN, whole_R, rounds.seconds[AGAIN]))
    rate, found = 1 / median(whole_R), bottleneck_of(gains, noise)
    alone = {step: median(timed.seconds[step] for timed in rounds.timed) / count for step in steps}
    rest = max(0.0, median(rounds.seconds[ALONE]) - sum(alone.values()))
    whole = sum(alone.values()) + rest
    return {
        "verdict": verdict(gains, rate, noise, remedies),
        "bottleneck": found.step if found else None,
        "images_per_s": rate,
        "noise": noise,
        "spread": float(np.subtract(*np.quantile(whole_R, [0.75, 0.25])) / median(whole_R)),
        "steps": [_row(gain, alone[gain.step], alone[gain.step] / whole, gain.beyond(noise)) for gain in gains],
        "rest": {"alone_s": rest, "share": rest / whole},
        "remedies": {step: asdict(gain) for step, gain in remedies.items()},
    }


def _row(gain: Gain, alone_s: float, share: float, beyond: bool) -> dict[str, Any]:
    each = "batch" if gain.step in BATCH_STEPS else "picture"
    return {**asdict(gain), "by": each, "alone_s": alone_s, "share": share, "beyond_noise": beyond}
