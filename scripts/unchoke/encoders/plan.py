"""Stage: the memory plan, the largest micro-batch of an encoder that keeps the budget."""

import argparse
import gc
from pathlib import Path
from typing import Any

import torch

from unchoke.encoders.encoder import Encoder
from unchoke.errors import UnchokeError
from unchoke.machine.devices import add_device_flags
from unchoke.machine.memory import Meter

MARGIN = 0.9  # share of the budget; the rest allows for fragmentation


def add_encoder_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that runs an encoder: its weights, its memory plan, and those of the device."""
    parser.add_argument("--weights", type=Path, required=True, help="safetensors file of the encoder")
    parser.add_argument("--card", type=Path, required=True, help="JSON file that describes the weights")
    parser.add_argument("--precision", required=True, help="arithmetic on CUDA")
    parser.add_argument("--plan", type=Path, required=True, help="JSON file that holds the micro-batch")
    add_device_flags(parser)


def plan_memory(encoder: Encoder, meter: Meter, budget_mb: float, largest: int) -> dict[str, Any]:
    """Measure the peak at growing micro-batches and keep the largest within the budget's margin.

    largest: the micro-batch to stop at. The result also has the peak of every micro-batch tried, MB; None where memory
    ran out. Raises UnchokeError where a single image does not fit.
    """
    peaks: dict[int, float | None] = {}
    best = 0
    for micro_batch in candidates(largest):
        peaks[micro_batch] = peak_mb(encoder, meter, micro_batch)
        if (peaks[micro_batch] or float("inf")) > MARGIN * budget_mb:
            break
        best = micro_batch
    if not best:
        raise UnchokeError(
            "The encoder does not fit the memory budget.",
            found=f"a peak of {peaks[1]:.0f} MB for one image" if peaks[1] else "memory ran out at one image",
            expected=f"at most {MARGIN * budget_mb:.0f} MB, {MARGIN:.0%} of gpu.vram_mb",
            where=f"{encoder.card['model']} at {encoder.image_size} px",
            do="take a smaller encoder or image_size, or raise gpu.vram_mb",
        )
    return {
        "model": encoder.card["model"],
        "image_size": encoder.image_size,
        "device": encoder.device.type,
        "budget_mb": budget_mb,
        "micro_batch": best,
        "peak_mb": peaks[best],
        "peaks_mb": {str(micro_batch): peak for micro_batch, peak in peaks.items()},
    }


def candidates(largest: int) -> list[int]:
    """1, 2, 4 … and `largest` itself."""
    doubled = [2**power for power in range(largest.bit_length()) if 2**power < largest]
    return [*doubled, largest]


def peak_mb(encoder: Encoder, meter: Meter, micro_batch: int) -> float | None:
    """Peak over two batches, since later ones are like the second; None where memory ran out."""
    images = torch.zeros((micro_batch, 3, encoder.image_size, encoder.image_size), dtype=torch.uint8)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()
        torch.cuda.empty_cache()
    meter.reset_peak()
    try:
        encoder.encode_once(images)
        encoder.encode_once(images)
    except torch.OutOfMemoryError:
        return None
    return meter.peak_mb()
