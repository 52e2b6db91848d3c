"""Pictures with a palette open in Pillow as what they were written from."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unchoke.images.png import palette_png

colours = st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=256)


def opened(data):
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 70), colours, st.integers(0, 2**32 - 1))
def test_pillow_reads_back_every_pixel_and_colour(heights, width, palette, seed):
    whole_HW = np.random.default_rng(seed).integers(0, len(palette), (sum(heights), width), np.uint8)
    bands = np.split(whole_HW, np.cumsum(heights)[:-1])
    picture = opened(palette_png(iter(bands), *whole_HW.shape, palette))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "P", (width, sum(heights)))
    np.testing.assert_array_equal(np.asarray(picture), whole_HW)
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), np.array(palette)[whole_HW])


@given(st.integers(1, 20), st.integers(1, 19))
def test_bytes_do_not_depend_on_how_rows_come_in_bands(height, cut):
    mask_HW = np.random.default_rng(height).integers(0, 3, (height, 50), np.uint8)
    palette = [(0, 0, 0), (1, 2, 3), (255, 255, 255)]
    whole, parted = (opened(palette_png(bands, height, 50, palette)) for bands in ([mask_HW], np.split(mask_HW, [cut])))
    assert whole.tobytes() == parted.tobytes()


@pytest.mark.parametrize("place", [20, 60, -20])
def test_a_changed_byte_is_found_by_its_checksums(place):
    data = bytearray(palette_png([np.ones((30, 30), np.uint8)], 30, 30, [(0, 0, 0), (9, 9, 9)]))
    data[place] ^= 0xFF
    with pytest.raises((OSError, SyntaxError)):
        opened(bytes(data))
