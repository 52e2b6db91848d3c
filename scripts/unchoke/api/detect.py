"""Stage: the words of one image, read from the stitched maps of a text head, for images of any size."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unchoke.api.segment import Path_, stitched
from unchoke.errors import UnchokeError
from unchoke.images.grid import Grid
from unchoke.machine.limits import VRAM_MB
from unchoke.mask_heads.head import MaskHead, read_mask_checkpoint
from unchoke.names import MAX_PIXELS, TEXT_CLASSES
from unchoke.stitching.bands import Band
from unchoke.store.run_record import read_scores
from unchoke.text.boxes import Box, Reading, boxes_of_bands
from unchoke.text.score import TEXT


def detect(
    image: Path_,
    checkpoint: Path_ | MaskHead,
    weights: Path_ | None = None,
    device: str = "auto",
    *,
    reading: Reading | None = None,
    overlap: int | None = None,
    blend: str = "auto",
    vram_mb: float = VRAM_MB,
    threads: int = 8,
    max_pixels: int = MAX_PIXELS,
) -> list[Box]:
    """The words of an image: ``box.polygon``, float64 (K, 2), x and y in px, and ``box.score``, from 0 to 1.

    reading: the thresholds; None: those that were best on val, from the results that the checkpoint lies in. The other
    arguments are those of ``segment``. Raises UnchokeError where image, head, weights or thresholds cannot be had.
    """
    head = checkpoint if isinstance(checkpoint, MaskHead) else read_mask_checkpoint(Path(checkpoint))
    _refuse_other_classes(head)
    how = reading or chosen_reading(head.path)
    grid, bands = stitched(
        image, head, weights, device, overlap, blend, vram_mb, threads, max_pixels, keep_probabilities=True
    )
    return boxes_of_bands(_of_text(bands, grid), how).boxes


def _refuse_other_classes(head: MaskHead) -> None:
    if head.classes != list(TEXT_CLASSES):
        raise UnchokeError(
            "The head does not find words.",
            found=f"a head of the classes {', '.join(head.classes)}",
            expected=f"the classes {', '.join(TEXT_CLASSES)}, as heads of datasets with words have them",
            where=str(head.path),
            do="take a head of such a dataset, or segment the image",
        )


def chosen_reading(checkpoint: Path) -> Reading:
    """The thresholds that were best on val, of ``results/<dataset>/checkpoints/<encoder>/<head>.safetensors``.

    Raises UnchokeError where the results have no scores of words.
    """
    folder = checkpoint.absolute().parent
    file = folder.parent.parent / "scores" / folder.name / f"{checkpoint.stem}.json"
    found = read_scores(file).get("reading") if file.exists() else None
    if found is None:
        raise UnchokeError(
            "The thresholds with which words are read are not known.",
            found="scores without words" if file.exists() else "no scores",
            expected="the scores of a text head, from the run that trained it",
            where=str(file),
            do="give reading=unchoke.text.boxes.Reading(binarise=0.3, box_score=0.6)",
        )
    return Reading(**found)


def _of_text(bands: Iterator[Band], grid: Grid) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """First row and probability of text of each band."""
    for number, band in enumerate(bands):
        yield grid.band_rows(number)[0], band.probabilities()[TEXT].astype(np.float32)
