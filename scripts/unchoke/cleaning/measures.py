"""Pure: fingerprints of images, from decoded pixels alone: digest, perceptual hash and measures.

All sums are of whole numbers that their type holds exactly. So no bit depends on the batch, the order or the machine.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import gcd, prod
from typing import Any, TypeVar

import numpy as np
import xxhash
from numpy.typing import NDArray

HASHES = ("digest_high", "digest_low", "perceptual")
MEASURES = ("mean", "deviation", "saturation", "sharpness", "width", "height")

_BLOCK_PX = 2**17  # pixels of a block, 14 images of 96 px: smaller blocks cost calls, larger ones leave the cache
_KEPT_PX = 2**12
_BOXES = 32  # side of the small picture that is hashed
_LOW = slice(1, 9)  # its frequencies, along each side
_STEPS = 16  # steps of a grey value; means of boxes are rounded to them
_BASIS_ONE = 2**15  # fixed-point 1 in the basis of the transform
_ORTHONORMAL_ONE = _STEPS * _BASIS_ONE**2 * _BOXES // 2  # fixed-point 1 of the orthonormal transform
_LEAST_COEFFICIENT = 4 * _ORTHONORMAL_ONE  # a wave with an amplitude of a quarter of a grey value

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]
Number = TypeVar("Number", bound=np.generic)


def fingerprint_batch(rgb_NHW3: Pixels) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Hashes uint64 (N, 3) and measures float32 (N, 6) of N images of one size, uint8 RGB.

    The hashes, as in ``HASHES``:

    digest_high, digest_low  XXH3-128 of the pixels, with height * 2**32 + width as its seed
    perceptual               64 bits that brightness, contrast, encoding and small shifts hardly change; 0 where there
                             are none, see ``perceptual_hashes``

    The measures, as in ``MEASURES``:

    mean, deviation  of the grey values, 0 to 255; grey is ITU-R 601 luma, rounded as Pillow's mode L
    saturation       that of HSV, 0 to 1, each pixel weighted by its value: sum of (max - min) of the three channels,
                     over the sum of max; 0 where all is black
    sharpness        variance of the Laplacian (4 neighbours less 4 times the pixel) inside the border, squared grey
                     values (Pech-Pacheco et al. 2000); 0 where there is no inside, below 3 px a side
    width, height    px
    """
    n_images, height, width, _ = rgb_NHW3.shape
    hashes = np.empty((n_images, len(HASHES)), dtype=np.uint64)
    total = np.empty((6, n_images))
    per_block = max(1, _BLOCK_PX // max(height * width, _BOXES**2))
    work = _Workspace()
    for start in range(0, n_images, per_block):
        block = slice(start, start + per_block)
        rgb_BHW3 = np.ascontiguousarray(rgb_NHW3[block])
        hashes[block, :2] = _digests(rgb_BHW3)
        hashes[block, 2], total[:, block] = _perceptual_and_sums(_bands_of(rgb_BHW3), work)
    return hashes, _measures(total, height, width)


def fingerprint_rows(
    read: Callable[[int, int], Pixels], height: int, width: int
) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """Hashes (3,) and measures (6,) of one image, as ``fingerprint_batch`` has them.

    Its rows are read in bands, so that its pixels never lie in one array.

    read: rows from the first to before the last, uint8 (rows, width, 3).
    """
    digest = xxhash.xxh3_128(seed=height << 32 | width)
    for first, last in _bands(height, width):
        digest.update(read(first, last).tobytes())
    bands = _Bands((1, height, width), lambda start, stop: read(start, stop)[None])
    perceptual, total = _perceptual_and_sums(bands, _Workspace())
    high, low = digest.intdigest() >> 64, digest.intdigest() & 0xFFFF_FFFF_FFFF_FFFF
    return np.array([high, low, perceptual[0]], np.uint64), _measures(total, height, width)[0]


def perceptual_hashes(box_N: Floats) -> NDArray[np.uint64]:
    """The DCT hash of Zauner (2010, pHash), (N,), of N pictures of 32 x 32 px: grey values in sixteenths, whole.

    Bit by bit, from the highest: whether a coefficient of the two-dimensional DCT-II is above the (lower) median of the
    64 with frequencies 1 to 8 along both sides. The frequency 0, the mean of rows or columns, plays no part.

    0 stands for no hash. It is given to pictures in which nothing can be compared: no coefficient of the orthonormal
    transform reaches 4 (a wave with an amplitude of a quarter of a grey value), or none is above the median.

    The basis is rounded to multiples of 2**-15, so that all sums are whole numbers below 2**53.
    """
    basis = _cosine_basis()
    coefficient_NF = (basis @ (box_N @ basis.T)).reshape(len(box_N), -1)
    median_N1 = np.sort(coefficient_NF, axis=1)[:, 31:32]
    bit_NF = coefficient_NF > median_N1
    bit_NF[np.abs(coefficient_NF).max(axis=1) < _LEAST_COEFFICIENT] = False
    return np.packbits(bit_NF, axis=1).view(">u8")[:, 0].astype(np.uint64)


class _Workspace:
    """Arrays that all blocks reuse: fresh memory from the system would cost more time than the computation."""

    def __init__(self) -> None:
        self._array: dict[tuple[str, np.dtype], NDArray[Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], kind: type[Number]) -> NDArray[Number]:
        """An array of `shape` whose content is undefined; the same memory for the same name and type."""
        key, size = (name, np.dtype(kind)), prod(shape)
        if key not in self._array or self._array[key].size < size:
            self._array[key] = np.empty(size, kind)
        return self._array[key][:size].reshape(shape)

    def copy(self, name: str, x: NDArray[Any], kind: type[Number]) -> NDArray[Number]:
        """`x` as contiguous numbers of `kind`."""
        copy = self.array(name, x.shape, kind)
        copy[...] = x
        return copy


def _digests(rgb_BHW3: Pixels) -> list[tuple[int, int]]:
    """High and low word of each."""
    seed = rgb_BHW3.shape[1] << 32 | rgb_BHW3.shape[2]
    digests = [xxhash.xxh3_128_intdigest(rgb_HW3, seed=seed) for rgb_HW3 in rgb_BHW3]
    return [(digest >> 64, digest & 0xFFFF_FFFF_FFFF_FFFF) for digest in digests]


@dataclass(frozen=True)
class _Bands:
    """Images of one size, read in bands of rows."""

    shape: tuple[int, int, int]
    """Number of images, height and width."""
    read: Callable[[int, int], Pixels]
    """Rows from the first to before the last, uint8 (B, rows, W, 3)."""


def _bands_of(rgb_BHW3: Pixels) -> _Bands:
    n_images, height, width, _ = rgb_BHW3.shape
    return _Bands((n_images, height, width), lambda start, stop: rgb_BHW3[:, start:stop])


def _perceptual_and_sums(bands: _Bands, work: _Workspace) -> tuple[NDArray[np.uint64], Floats]:
    """Hashes (B,), and (6, B) as ``_measures`` takes them, worked out in bands of rows where the images are large."""
    n_images, height, width = bands.shape
    small = max(height, width) <= 256  # 255**2 * 256 and 255 * 256**2 are below 2**24
    exact: type[np.floating] = np.float32 if small else np.float64
    down, across = _overlaps(height).astype(exact), _overlaps(width).T.astype(exact)
    box = np.zeros((n_images, _BOXES, _BOXES))
    total = np.zeros((6, n_images))
    for first, last in _bands(height, width):
        start, stop = max(first - 1, 0), min(last + 1, height)  # the Laplacian looks a row farther
        planes = work.copy("planes", np.moveaxis(bands.read(start, stop), -1, 0), np.uint8)
        grey_BhW = _grey(planes, work)
        inner = slice(first - start, last - start)
        inner_grey_BhW = work.copy("exact", grey_BhW[:, inner], exact)
        total[:2] += _sums_of_colour(planes[:, :, inner], work)
        total[2:4] += _sums_and_squares(inner_grey_BhW)
        total[4:] += _sums_and_squares(_laplacian(grey_BhW, work))
        if last - first == height and height % _BOXES == 0:
            box += (_sums_of_whole_rows(inner_grey_BhW, work) @ across).reshape(box.shape)
        else:
            box += down[:, first:last] @ np.matmul(inner_grey_BhW, across)
    return perceptual_hashes(np.rint(box * (_STEPS / (down[0].sum() * across[:, 0].sum())))), total


def _sums_of_whole_rows(x_BHW: NDArray[np.floating], work: _Workspace) -> NDArray[np.floating]:
    """Sums over 32 equal parts of the rows, (B * 32, W): the product with their overlaps, in a third of the time."""
    n_images, height, width = x_BHW.shape
    part_B32hW = x_BHW.reshape(n_images, _BOXES, height // _BOXES, width)
    total = work.copy("parts", part_B32hW[:, :, 0], x_BHW.dtype.type)
    for row in range(1, height // _BOXES):
        total += part_B32hW[:, :, row]
    return total.reshape(-1, width)


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First row of each band, and the one after its last."""
    rows = max(1, _BLOCK_PX // width)
    for first in range(0, height, rows):
        yield first, min(first + rows, height)


def _measures(total: Floats, height: int, width: int) -> NDArray[np.float32]:
    """``MEASURES`` from the sums of chroma and value, and of grey and the Laplacian with their squares."""
    chroma, value, grey, grey_squares, laplacian, laplacian_squares = total
    mean, variance = _mean_and_variance(grey, grey_squares, height * width)
    _, sharpness = _mean_and_variance(laplacian, laplacian_squares, max(height - 2, 0) * max(width - 2, 0))
    saturation = np.divide(chroma, value, out=np.zeros_like(chroma), where=value > 0)
    sizes = (np.full_like(mean, size) for size in (width, height))
    return np.stack([mean, np.sqrt(variance), saturation, sharpness, *sizes], axis=1).astype(np.float32)


def _mean_and_variance(total_B: Floats, squares_B: Floats, count: int) -> tuple[Floats, Floats]:
    """Mean and variance; 0 for a count of 0."""
    mean_B = total_B / max(count, 1)
    return mean_B, np.maximum(squares_B / max(count, 1) - mean_B**2, 0)


def _grey(planes: Pixels, work: _Workspace) -> NDArray[np.int16]:
    """(19595 R + 38470 G + 7471 B + 2**15) >> 16, as Pillow has it, 0 to 255, from (3, B, h, W).

    Computed in 16 bits, several times faster: the factors are cut into high and low bytes. Both kinds add up to at most
    256, so that no sum reaches 2**16.
    """
    high, low, part = (work.array(name, planes.shape[1:], np.uint16) for name in ("grey", "low", "part"))
    red, *others = planes
    channel = work.copy("channel", red, np.uint16)
    np.multiply(channel, 76, out=high)
    np.multiply(channel, 139, out=low)
    for plane, of_high, of_low in zip(others, (150, 29), (70, 47), strict=True):
        channel = work.copy("channel", plane, np.uint16)
        high += np.multiply(channel, of_high, out=part)
        low += np.multiply(channel, of_low, out=part)
    low >>= 8
    low += 128
    high += low
    high >>= 8
    return high.view(np.int16)


def _sums_of_colour(planes: Pixels, work: _Workspace) -> Floats:
    """Sums of chroma, max - min, and of value, max, over each of B images: (2, B)."""
    red, green, blue = planes
    value, chroma = work.array("value", red.shape, np.uint8), work.array("chroma", red.shape, np.uint8)
    np.maximum(red, green, out=value)
    np.maximum(value, blue, out=value)
    np.minimum(red, green, out=chroma)
    np.minimum(chroma, blue, out=chroma)
    np.subtract(value, chroma, out=chroma)
    return np.stack([_sums(chroma), _sums(value)])


def _sums(x_BhW: Pixels) -> Floats:
    x_BP = x_BhW.reshape(len(x_BhW), -1)
    narrow = x_BP.shape[1] <= 2**24  # whose sum 32 bits hold
    return np.asarray(x_BP.sum(axis=1, dtype=np.uint32 if narrow else np.uint64), dtype=np.float64)


def _sums_and_squares(x_BhW: NDArray[np.floating]) -> Floats:
    """Sums of whole numbers and of their squares over each of B images, (2, B); the type must hold a row's sums."""
    rows = [x_BhW @ np.ones(x_BhW.shape[2], x_BhW.dtype), np.vecdot(x_BhW, x_BhW)]
    return np.stack([np.add.reduce(row_Bh, axis=1, dtype=np.float64) for row_Bh in rows])


def _laplacian(grey_BhW: NDArray[np.int16], work: _Workspace) -> Floats:
    """Sum of the four neighbours minus four times the pixel, for the P inner pixels: (B, 1, P); P is 0 below 3 px.

    Computed over the concatenated rows of all images; the border is cut off.
    """
    n_images, height, width = grey_BhW.shape
    if min(height, width) < 3:
        return np.zeros((n_images, 1, 0))
    pixel = grey_BhW.reshape(-1)
    laplacian = work.array("laplacian", pixel.shape, np.int16)
    inside, centre = laplacian[width:-width], work.array("centre", pixel.shape, np.int16)[width:-width]
    np.add(pixel[: -2 * width], pixel[2 * width :], out=inside)
    inside += pixel[width - 1 : -width - 1]
    inside += pixel[width + 1 : len(pixel) - width + 1]
    inside -= np.left_shift(pixel[width:-width], 2, out=centre)
    inner = laplacian.reshape(grey_BhW.shape)[:, 1:-1, 1:-1]
    return work.copy("laplacian", inner, np.float64).reshape(n_images, 1, -1)


def _overlaps(length: int) -> NDArray[np.int64]:
    """As ``_all_overlaps``, kept for sides that take 1 MB at most."""
    return _kept_overlaps(length) if length <= _KEPT_PX else _all_overlaps(length)


def _all_overlaps(length: int) -> NDArray[np.int64]:
    """Overlap of each of `length` px with each of 32 equal parts, (32, length), scaled to whole numbers."""
    unit = gcd(length, _BOXES)
    part_start, pixel_start = np.arange(_BOXES)[:, None] * (length // unit), np.arange(length) * (_BOXES // unit)
    start = np.maximum(part_start, pixel_start)
    stop = np.minimum(part_start + length // unit, pixel_start + _BOXES // unit)
    return np.asarray(np.maximum(stop - start, 0), dtype=np.int64)


_kept_overlaps = lru_cache(maxsize=64)(_all_overlaps)


@lru_cache(maxsize=1)
def _cosine_basis() -> Floats:
    """DCT-II of 32 values, the frequencies of the hash, (8, 32), in multiples of 2**-15."""
    frequency, place = np.arange(_BOXES)[_LOW, None], np.arange(_BOXES)
    cosine = np.cos(np.pi * frequency * (2 * place + 1) / (2 * _BOXES))
    return np.asarray(np.rint(_BASIS_ONE * cosine), dtype=np.float64)
