"""Stage: the profile of one encoder: each step of extraction by itself, and the whole run without it."""

import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import Any

from unchoke.encoders.encoder import Encoder
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Chunk, Extraction
from unchoke.images.decoders import INSTALL, SIMPLEJPEG
from unchoke.images.jpegs import check_decoder
from unchoke.images.steps import DECODE, RESIZE, STEPS, TO_DEVICE, Steps
from unchoke.names import LEAST_PROFILED
from unchoke.profiling.idle import NO_CARD, Watched, has_clock, idle_shares
from unchoke.profiling.rounds import AGAIN, ALONE, LEAST_ROUNDS, WATCHED, WHOLE, in_rounds, judged
from unchoke.profiling.sample import Effort, Sample, refuse_few, run_sample
from unchoke.profiling.slowest import slowest_images
from unchoke.profiling.steps import Keeping, Timed, Without

DRAFT, JPEG = "JPEG draft", "JPEG"
NO_JPEG = "no image of the sample is a JPEG"
REMEDIES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    DRAFT: ({"jpeg_draft": True}, (DECODE, RESIZE)),
    SIMPLEJPEG: ({"decoder": SIMPLEJPEG}, (DECODE,)),
}
"""Settings that make JPEG files faster: fields of ``Extraction``, and the steps that they help."""


def profile_extraction(sample: Sample, encoder: Encoder, settings: Extraction, effort: Effort) -> dict[str, Any]:
    """Every step of extraction timed by itself, and the same extraction run without each, in interleaved rounds.

    The result is plain JSON. UnchokeError where too few pictures of the sample can be read.
    """
    started, keeping, asked = time.perf_counter(), Keeping(), len(sample.names)
    _, invalid = run_sample(sample, encoder, settings, keeping)
    sample = sample.only([name for name in sample.names if name not in invalid])
    refuse_few(len(sample.names), f"readable images of {asked}")
    measured = _Measured(sample, encoder, settings, keeping)
    absent = _absent(keeping, encoder, settings)
    arms = measured.arms(absent)
    measured.shorten(effort.seconds / len(arms))
    seconds = in_rounds(arms, effort.seconds, effort.seed)
    helps = {name: steps for name, (_, steps) in REMEDIES.items()}
    return {
        **judged(seconds, measured.alone_s(absent), helps, sample.unit),
        "absent": absent,
        "unit": sample.unit,
        "images": len(measured.sample.names),
        "unreadable": invalid,
        "threads": sample.threads,
        "device": encoder.device.type,
        "image_size": encoder.image_size,
        "micro_batch": settings.micro_batch,
        "slowest": slowest_images(measured.by_picture(), keeping.pictures),
        "idle": measured.idle(),
        "took_s": time.perf_counter() - started,
    }


def _absent(keeping: Keeping, encoder: Encoder, settings: Extraction) -> dict[str, str]:
    """Steps that do nothing here, and a setting that would change nothing, with the reason."""
    formats = {picture["format"] for picture in keeping.pictures.values()}
    absent = {}
    if formats == {"array"}:
        absent[DECODE] = "the source holds pixels, which need no decoder"
    if encoder.device.type == "cpu":
        absent[TO_DEVICE] = "the encoder runs on the processor, where the pictures are"
    return absent | {name: reason for name in REMEDIES if (reason := _useless(name, keeping, formats, settings))}


def _useless(name: str, keeping: Keeping, formats: set[str], settings: Extraction) -> str:
    """Why a setting would change nothing here, or cannot be tried; empty where it can."""
    if replace(settings, **REMEDIES[name][0]) == settings:
        return "the run has it"
    if DECODE not in keeping.taken:
        return "patches are cut from images in full size" if name == DRAFT else "patches are cut by Pillow"
    if JPEG not in formats:
        return NO_JPEG
    return _unusable() if name == SIMPLEJPEG else ""


def _unusable() -> str:
    """Why simplejpeg cannot be tried on this machine; empty where it can."""
    if importlib.util.find_spec(SIMPLEJPEG) is None:
        return f"it is not installed: {INSTALL}"
    try:
        check_decoder(SIMPLEJPEG)
    except UnchokeError as error:
        return str(error).splitlines()[0]
    return ""


@dataclass
class _Measured:
    """The work, and what is kept of each round beside its seconds."""

    sample: Sample
    encoder: Encoder
    settings: Extraction
    keeping: Keeping
    timed: list[Timed] = field(default_factory=list)
    watched: list[dict[str, float]] = field(default_factory=list)

    def arms(self, absent: dict[str, str]) -> dict[str, Callable[[], float]]:
        """Each way to do the work by name, which returns seconds an image."""
        arms = {WHOLE: self._whole, AGAIN: self._whole, ALONE: self._alone}
        for step in STEPS:
            if step in self.keeping.taken and step not in absent:
                arms[step] = partial(self._whole, Without(step, self.keeping))
        for name, (changes, _) in REMEDIES.items():
            if name not in absent:
                arms[name] = partial(self._whole, Steps(), replace(self.settings, **changes))
        if has_clock(self.encoder.device):
            arms[WATCHED] = self._watched
        return arms

    def shorten(self, arm_s: float) -> None:
        """Leave as many pictures as let each arm keep to `arm_s` in the least number of rounds."""
        fits = int(arm_s / (self._whole() * LEAST_ROUNDS))
        self.sample = self.sample.only(self.sample.names[: max(LEAST_PROFILED, fits)])

    def _run(self, steps: Steps, settings: Extraction, threads: int | None = None) -> tuple[float, list[Chunk]]:
        self.sample.forget()
        started = time.perf_counter()
        chunks, _ = run_sample(self.sample, self.encoder, settings, steps, threads)
        return time.perf_counter() - started, chunks

    def _whole(self, steps: Steps | None = None, settings: Extraction | None = None) -> float:
        return self._run(steps or Steps(), settings or self.settings)[0] / len(self.sample.names)

    def _alone(self) -> float:
        self.timed.append(Timed(self.encoder.device))
        return self._run(self.timed[-1], self.settings, 0)[0] / len(self.sample.names)

    def _watched(self) -> float:
        steps = Watched()
        seconds, chunks = self._run(steps, self.settings)
        encode_s = sum(chunk.seconds["encode"] for chunk in chunks)
        self.watched.append(idle_shares(seconds, encode_s, steps.busy_s()))
        return seconds / len(self.sample.names)

    def alone_s(self, absent: dict[str, str]) -> dict[str, float]:
        """Median seconds an image of each step by itself."""
        count = len(self.sample.names)
        steps = [step for step in STEPS if step in self.keeping.taken and step not in absent]
        return {step: median(timed.seconds[step] for timed in self.timed) / count for step in steps}

    def by_picture(self) -> dict[str, dict[str, float]]:
        """Median seconds over rounds of each step of each picture."""
        return {
            name: {step: median(timed.by_picture[name][step] for timed in self.timed) for step in steps}
            for name, steps in self.timed[0].by_picture.items()
        }

    def idle(self) -> dict[str, Any]:
        """Median shares over rounds, or why there are none."""
        if not self.watched:
            return {"reason": NO_CARD}
        return {cause: median(shares[cause] for shares in self.watched) for cause in self.watched[0]}
