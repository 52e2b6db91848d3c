"""Stage: the memory plan, the largest micro-batch of an encoder that keeps the budget."""

from functools import partial
from typing import Any

import torch

from unchoke.encoders.encoder import Encoder
from unchoke.errors import UnchokeError
from unchoke.machine.memory import Meter
from unchoke.machine.peaks import MARGIN, measure_peaks, peak_of


def plan_memory(encoder: Encoder, meter: Meter, budget_mb: float, largest: int) -> dict[str, Any]:
    """Measure the peak at growing micro-batches and keep the largest within the budget's margin.

    largest: the micro-batch to stop at. Beside the choice stand the peaks of all that were tried, MB, None where memory
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
