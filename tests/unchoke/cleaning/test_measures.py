"""Fingerprints: compared with Pillow, SciPy and plain sums in float64, and the same bits however images are batched."""

import io
import tracemalloc

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from one_fingerprint import fingerprint
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import laplace

from unchoke.cleaning.measures import HASHES, MEASURES, fingerprint_batch

SIDES = st.integers(1, 40)
RGB = st.tuples(SIDES, SIDES).flatmap(lambda size: arrays(np.uint8, (*size, 3)))
SIZES = [(96, 96), (1, 1), (1, 7), (2, 2), (3, 3), (32, 64), (300, 257), (260, 700), (1, 70_000), (3000, 30), (5, 9)]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def picture(height=96, width=96, seed=0):
    """Smooth, colourful blobs."""
    small = Image.fromarray(noise(6, 6, seed))
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def grey_of(rgb):
    return np.asarray(Image.fromarray(rgb).convert("L"), dtype=np.float64)


def hashes_of(rgb):
    return dict(zip(HASHES, fingerprint(rgb)[0].tolist(), strict=True))


def measures_of(rgb):
    return dict(zip(MEASURES, fingerprint(rgb)[1].tolist(), strict=True))


def expected_measures(rgb):
    grey, highest, lowest = grey_of(rgb), rgb.max(axis=2).astype(float), rgb.min(axis=2).astype(float)
    inside = laplace(grey)[1:-1, 1:-1]
    return {
        "mean": grey.mean(),
        "deviation": grey.std(),
        "saturation": (highest - lowest).sum() / highest.sum() if highest.any() else 0,
        "sharpness": inside.var() if inside.size else 0,
        "width": rgb.shape[1],
        "height": rgb.shape[0],
    }


def parts_of(x, axis):
    """Means of 32 equal parts of an axis, which may begin within a pixel, from the running sum."""
    length = x.shape[axis]

    def means(line):
        running = np.concatenate([[0], np.cumsum(line)])
        return np.diff(np.interp(np.linspace(0, length, 33), np.arange(length + 1), running)) / (length / 32)

    return np.apply_along_axis(means, axis, x)


def coefficients(grey):
    """The orthonormal DCT's frequencies 1 to 8 of the mean grey values of 32 x 32 areas, in whole sixteenths."""
    return dctn(np.rint(parts_of(parts_of(grey, 1), 0) * 16) / 16, norm="ortho")[1:9, 1:9].ravel()


def bits(number):
    return np.array([character == "1" for character in f"{number:064b}"])


def distance(one, other):
    return (one ^ other).bit_count()


def assert_right(rgb):
    digest = xxhash.xxh3_128_hexdigest(rgb.tobytes(), seed=rgb.shape[0] * 2**32 + rgb.shape[1])
    hashes = hashes_of(rgb)
    assert f"{hashes['digest_high']:016x}{hashes['digest_low']:016x}" == digest
    assert measures_of(rgb) == pytest.approx(expected_measures(rgb), rel=1e-5, abs=1e-4)
    found, ranked = coefficients(grey_of(rgb)), np.sort(coefficients(grey_of(rgb)))
    if np.abs(found).max() < 3.5:
        assert hashes["perceptual"] == 0
    elif np.abs(found).max() > 4.5 and ranked[32] - ranked[31] > 0.5:  # else rounding decides
        np.testing.assert_array_equal(bits(hashes["perceptual"]), found > (ranked[31] + ranked[32]) / 2)


@given(RGB)
@settings(max_examples=60, deadline=None)
def test_small_images_have_the_values_of_plain_sums(rgb):
    assert_right(rgb)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_any_size_has_the_values_of_plain_sums(height, width):
    assert_right(noise(height, width))
    assert_right(picture(height, width))


def test_the_hash_of_a_picture_is_decided_by_its_coefficients():
    found = coefficients(grey_of(picture()))
    assert np.abs(found).max() > 4.5
    assert np.diff(np.sort(found))[31] > 0.5  # so that the comparison above was made
    assert hashes_of(picture())["perceptual"].bit_count() == 32


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.just(7), st.just(5), st.just(3))))
@settings(deadline=None)
def test_a_batch_gives_the_bits_of_single_images(rgb_NHW3):
    together = fingerprint_batch(rgb_NHW3)
    for part, alone in zip(together, zip(*map(fingerprint, rgb_NHW3), strict=True), strict=True):
        np.testing.assert_array_equal(part, np.stack(alone))


@pytest.mark.parametrize(("count", "height", "width"), [(150, 8, 8), (17, 96, 96), (3, 40, 2000)])
def test_batches_of_several_blocks_give_the_bits_of_single_images(count, height, width):
    rgb_NHW3 = np.stack([picture(height, width, seed) for seed in range(count)])
    together = fingerprint_batch(rgb_NHW3)
    for part, alone in zip(together, zip(*map(fingerprint, rgb_NHW3), strict=True), strict=True):
        np.testing.assert_array_equal(part, np.stack(alone))


def test_types_and_shapes():
    hashes, measures = fingerprint_batch(np.zeros((2, 5, 6, 3), dtype=np.uint8))
    assert (hashes.dtype, hashes.shape) == (np.uint64, (2, 3))
    assert (measures.dtype, measures.shape) == (np.float32, (2, 6))
    hashes, measures = fingerprint_batch(np.zeros((0, 5, 6, 3), dtype=np.uint8))
    assert (hashes.shape, measures.shape) == ((0, 3), (0, 6))


def test_the_layout_in_memory_plays_no_part():
    rgb = picture(40, 50)
    turned = np.asfortranarray(rgb)[::1]
    for one, other in zip(fingerprint(rgb), fingerprint(turned), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_shape_is_part_of_the_digest():
    flat = np.arange(48, dtype=np.uint8)
    digests = {hashes_of(flat.reshape(shape))["digest_low"] for shape in ((2, 8, 3), (8, 2, 3), (4, 4, 3))}
    assert len(digests) == 3


def test_one_pixel_changes_the_digest():
    rgb = picture()
    changed = rgb.copy()
    changed[95, 95, 2] ^= 1
    assert hashes_of(rgb)["digest_low"] != hashes_of(changed)["digest_low"]


@pytest.mark.parametrize("value", [0, 1, 127, 255])
def test_a_constant_image_has_no_perceptual_hash(value):
    rgb = np.full((50, 70, 3), value, dtype=np.uint8)
    assert hashes_of(rgb)["perceptual"] == 0
    assert measures_of(rgb)["deviation"] == measures_of(rgb)["sharpness"] == 0


def test_faint_noise_has_no_perceptual_hash():
    rgb = 200 + noise(96, 96) % 3
    assert hashes_of(rgb.astype(np.uint8))["perceptual"] == 0


@pytest.mark.parametrize("value", [0, 255])
def test_stripes_have_no_perceptual_hash(value):
    rgb = np.full((64, 64, 3), 128, dtype=np.uint8)
    rgb[10:20] = value
    assert hashes_of(rgb)["perceptual"] == hashes_of(rgb.swapaxes(0, 1))["perceptual"] == 0


@given(st.integers(1, 8), st.integers(1, 8))
def test_a_wave_sets_the_bit_of_its_frequencies(down, across):
    place = (np.arange(64) + 0.5) / 64
    wave = np.outer(np.cos(np.pi * down * place), np.cos(np.pi * across * place))
    rgb = np.repeat(np.rint(128 + 100 * wave).astype(np.uint8)[:, :, None], 3, axis=2)
    assert bits(hashes_of(rgb)["perceptual"])[8 * (down - 1) + across - 1]


def test_brightness_leaves_the_perceptual_hash_as_it_is():
    rgb = picture() // 2
    assert hashes_of(rgb)["perceptual"] == hashes_of(rgb + 100)["perceptual"] != 0


@pytest.mark.parametrize("seed", range(5))
def test_other_encodings_stay_near_and_other_pictures_far(seed):
    file = io.BytesIO()
    Image.fromarray(picture(seed=seed)).save(file, "JPEG", quality=90)
    encoded = np.asarray(Image.open(file).convert("RGB"))
    enlarged = np.asarray(Image.fromarray(picture(seed=seed)).resize((192, 192), Image.Resampling.BICUBIC))
    one, *near = (hashes_of(rgb)["perceptual"] for rgb in (picture(seed=seed), encoded, enlarged))
    assert max(distance(one, other) for other in near) <= 3
    assert distance(one, hashes_of(picture(seed=seed + 100))["perceptual"]) > 7


def test_a_batch_takes_less_than_three_times_its_own_memory():
    rgb_NHW3 = np.zeros((300, 96, 96, 3), dtype=np.uint8)
    tracemalloc.start()
    fingerprint_batch(rgb_NHW3)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 * rgb_NHW3.nbytes


def test_many_tiny_images_take_little_memory():
    tracemalloc.start()
    fingerprint_batch(np.zeros((10_000, 1, 1, 3), dtype=np.uint8))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10 * 2**20
