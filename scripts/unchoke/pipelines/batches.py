"""From batches of pictures to the features of a sample: what all pipelines share that are not ours."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from unchoke.encoders.encoder import Encoder
from unchoke.pipelines.work import Features, Work


def encode_batches(
    batches: Iterable[tuple[Sequence[int], Sequence[torch.Tensor | None] | torch.Tensor]], encoder: Encoder, work: Work
) -> Features:
    """Features at the places of the sample; what no batch has is not valid.

    batches: places, and as many pictures, uint8 (3, H, W), None for what cannot be read; or all as one tensor. Batches
    are padded to one size, as ours are, so that the encoder does the same.
    """
    total, valid_N = len(work.rows), np.zeros(len(work.rows), bool)
    values_ND: np.ndarray | None = None
    shapes: tuple[tuple[int, ...], ...] = ()
    for places, pictures in batches:
        images, good = _padded(pictures, work.settings.micro_batch, encoder.image_size)
        if not good:
            continue
        arrays = encoder.encode(images)
        found = work.flat(arrays)
        if values_ND is None:
            values_ND, shapes = np.zeros((total, found.shape[1]), found.dtype), work.shapes(arrays)
        at = [places[place] for place in good]
        values_ND[at], valid_N[at] = found[good].astype(work.settings.store), True
    return Features(np.zeros((total, 1), np.float32) if values_ND is None else values_ND, valid_N, shapes)


def _padded(
    pictures: Sequence[torch.Tensor | None] | torch.Tensor, size: int, side_px: int
) -> tuple[torch.Tensor, list[int]]:
    """A batch of `size` pictures, and the places of those that could be read."""
    if isinstance(pictures, torch.Tensor):
        if len(pictures) == size:
            return pictures, list(range(size))
        pictures = list(pictures)
    good = [place for place, picture in enumerate(pictures) if picture is not None]
    if len(good) == size:
        return torch.stack([picture for picture in pictures if picture is not None]), good
    images = torch.zeros((size, 3, side_px, side_px), dtype=torch.uint8)
    for place in good:
        images[place] = pictures[place]  # type: ignore[assignment]
    return images, good
