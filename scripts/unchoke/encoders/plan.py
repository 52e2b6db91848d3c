"""Stage: the memory plan, the largest micro-batch of an encoder that keeps the budget."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import torch

from unchoke.encoders.encoder import Encoder
from unchoke.errors import UnchokeError
from unchoke.machine.commands import or_none
from unchoke.machine.devices import add_device_flags
from unchoke.machine.memory import Meter
from unchoke.machine.peaks import MARGIN, measure_peaks, peak_of


def add_encoder_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that runs an encoder: its weights, its memory plan, and those of the device."""
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file of the encoder")
    parser.add_argument("--card", type=Path, required=True, help="JSON file that describes the weights")
    parser.add_argument("--precision", required=True, help="arithmetic on CUDA")
    parser.add_argument("--plan", type=Path, required=True, help="JSON file that holds the micro-batch")
    add_device_flags(parser)


def add_array_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of commands that measure an encoder: the size of its input, and what it gives."""
    parser.add_argument("--image-size", type=or_none(int), help="height and width of the encoder's input, px")
    parser.add_argument("--pools", nargs="*", default=[], help="poolings to store")
    parser.add_argument("--strides", nargs="*", type=int, default=[], help="strides of the maps to store, px")


def add_way_flag(parser: argparse.ArgumentParser) -> None:
    """The flag of commands that make chunks, eager or compiled; see ``ways``."""
    parser.add_argument("--way", type=Path, help="JSON file that says whether the encoder is compiled; eager without")


def plan_memory(encoder: Encoder, meter: Meter, budget_mb: float, largest: int) -> dict[str, Any]:
    """Measure the peak at growing micro-batches and keep the largest within the budget's margin.

    largest: the micro-batch to stop at. The result also has the peak of every micro-batch tried, MB; None where memory
    ran out. Raises UnchokeError where a single image does not fit.
    """

    def measure(micro_batch: int) -> float | None:
        images = torch.zeros((micro_batch, 3, encoder.image_size, encoder.image_size), dtype=torch.uint8)
        return peak_of(partial(encoder.encode_once, images), meter)

    peaks = measure_peaks(measure, budget_mb, largest)
    if not peaks.micro_batch:
        raise UnchokeError(
            "The encoder does not fit the memory budget.",
            found=peaks.found(),
            expected=f"at most {MARGIN * budget_mb:.0f} MB, {MARGIN:.0%} of gpu.vram_mb",
            where=f"{encoder.card['model']} at {encoder.image_size} px",
            do="take a smaller encoder or image_size, or raise gpu.vram_mb",
        )
    return {
        "model": encoder.card["model"],
        "image_size": encoder.image_size,
        "device": encoder.device.type,
        **peaks.plan(budget_mb),
    }
