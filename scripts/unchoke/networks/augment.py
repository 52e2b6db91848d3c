"""Random changes of images, by numbers of each image's own: a batch of uint8 (B, 3, H, W) to another.

An image's numbers depend on seed, epoch and image_id alone; see ``draws``. Each change gives back uint8.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import affine_grid, grid_sample

from unchoke.networks.draws import generator_of, uniforms

LEAST_AREA = 0.64
"""Of an image, that `crop` keeps."""
COLOUR = 0.2
"""How far brightness, contrast and saturation go from 1."""
GREY = (0.299, 0.587, 0.114)
"""Luma of ITU-R BT.601, as torchvision has it."""

Change = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""Images, numbers in [0, 1) of each, (B, K), and `shift_px`, to images."""


def augment(
    images_B3HW: torch.Tensor,
    changes: Sequence[str],
    seed: int,
    epoch: int,
    image_id_B: NDArray[np.int64],
    shift_px: int,
) -> torch.Tensor:
    """Images after the changes asked for, always in the order of ``CHANGES``."""
    for name, (change, count) in CHANGES.items():
        if name in changes:
            drawn_BK = torch.from_numpy(uniforms(seed, epoch, image_id_B, f"augment {name}", count))
            images_B3HW = change(images_B3HW, drawn_BK.to(images_B3HW.device), shift_px)
    return images_B3HW


def crop(images_B3HW: torch.Tensor, drawn_B3: torch.Tensor, _: int = 0) -> torch.Tensor:
    """A part of 64 to 100 % of the area, in the image's proportions, brought to its size bilinearly."""
    side_B = (LEAST_AREA + (1 - LEAST_AREA) * drawn_B3[:, 0]).sqrt()
    theta_B23 = torch.zeros(len(side_B), 2, 3, device=side_B.device)
    theta_B23[:, 0, 0] = theta_B23[:, 1, 1] = side_B
    theta_B23[:, :, 2] = (1 - side_B)[:, None] * (2 * drawn_B3[:, 1:] - 1)
    grid = affine_grid(theta_B23, list(images_B3HW.shape), align_corners=False)
    found = grid_sample(images_B3HW.float(), grid, padding_mode="border", align_corners=False)
    return as_bytes(found)


def shift(images_B3HW: torch.Tensor, drawn_B2: torch.Tensor, shift_px: int) -> torch.Tensor:
    """Moved by whole px in both directions, -shift_px to shift_px; the border is repeated."""
    height, width = images_B3HW.shape[-2:]
    move_B2 = (drawn_B2 * (2 * shift_px + 1)).long() - shift_px
    row_BH = (torch.arange(height, device=move_B2.device) - move_B2[:, :1]).clamp_(0, height - 1)
    column_BW = (torch.arange(width, device=move_B2.device) - move_B2[:, 1:]).clamp_(0, width - 1)
    picked = images_B3HW.gather(2, row_BH[:, None, :, None].expand(images_B3HW.shape))
    return picked.gather(3, column_BW[:, None, None, :].expand(images_B3HW.shape))


def hflip(images_B3HW: torch.Tensor, drawn_B1: torch.Tensor, _: int = 0) -> torch.Tensor:
    """Every second image mirrored, left for right."""
    return torch.where(drawn_B1[:, :, None, None] < 0.5, images_B3HW.flip(3), images_B3HW)


def vflip(images_B3HW: torch.Tensor, drawn_B1: torch.Tensor, _: int = 0) -> torch.Tensor:
    """Every second image mirrored, top for bottom."""
    return torch.where(drawn_B1[:, :, None, None] < 0.5, images_B3HW.flip(2), images_B3HW)


def turns(images_B3HW: torch.Tensor, drawn_B1: torch.Tensor, _: int = 0) -> torch.Tensor:
    """One of eight positions; of four, which keep the shape, where an image is not square."""
    height, width = images_B3HW.shape[-2:]
    steps = (0, 1, 2, 3) if height == width else (0, 2)
    position_B = (drawn_B1[:, 0] * 2 * len(steps)).long()
    turned = images_B3HW.clone()
    for position in range(2 * len(steps)):
        rows = position_B == position
        flipped = images_B3HW[rows].flip(3) if position >= len(steps) else images_B3HW[rows]
        turned[rows] = flipped.rot90(steps[position % len(steps)], (2, 3))
    return turned


def colour(images_B3HW: torch.Tensor, drawn_B3: torch.Tensor, _: int = 0) -> torch.Tensor:
    """Brightness, contrast and saturation times 0.8 to 1.2, in this order, as torchvision defines them."""
    bright_B, contrast_B, saturation_B = (1 + COLOUR * (2 * drawn_B3 - 1)).T[:, :, None, None, None]
    x = (images_B3HW.float() * bright_B).clamp_(0, 255)
    x = blend(x, grey(x).mean((1, 2, 3), keepdim=True), contrast_B)
    return as_bytes(blend(x, grey(x), saturation_B))


def grey(x_B3HW: torch.Tensor) -> torch.Tensor:
    """Luma (B, 1, H, W)."""
    factors = torch.tensor(GREY, device=x_B3HW.device)[:, None, None]
    return (x_B3HW * factors).sum(1, keepdim=True)


def blend(x: torch.Tensor, other: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """share × x + (1 - share) × other, 0 to 255."""
    return (share * x + (1 - share) * other).clamp_(0, 255)


def as_bytes(x: torch.Tensor) -> torch.Tensor:
    """0 to 255, rounded."""
    return x.round().clamp_(0, 255).to(torch.uint8)


CHANGES: dict[str, tuple[Change, int]] = {
    "crop": (crop, 3),
    "shift": (shift, 2),
    "hflip": (hflip, 1),
    "vflip": (vflip, 1),
    "turns": (turns, 1),
    "colour": (colour, 3),
}
"""Each change, and how many numbers of an image it needs."""


def mixed_pairs(seed: int, step: int, size: int, alpha: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Mixup over a whole batch: each image's partner, a row int64 (B,), and its own share, float32 (B,).

    Partners are a permutation of the batch; shares are from Beta(alpha, alpha) (Zhang et al. 2018, arXiv 1710.09412).
    """
    rng = generator_of(seed, step, "mixup")
    return rng.permutation(size), rng.beta(alpha, alpha, size).astype(np.float32)
