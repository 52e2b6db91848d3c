"""What an encoder sees is what timm's own transform gives, also of pictures that it would enlarge without bound."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform

from unchoke.encoders.preprocessing import LONGEST, resized_crop, transform_of

RNG = np.random.default_rng(0)


LARGER = [(40, 700), (700, 40)]  # than what the encoder sees


def picture(width, height):
    """Noise from black to white, beyond which filters reach: the order of rows and columns matters."""
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3), np.uint8))


def config(mode="center", share=0.875, interpolation="bicubic"):
    return {"crop_mode": mode, "crop_pct": share, "interpolation": interpolation}


def timms_own(image, size, facts):
    return create_transform(input_size=(3, size, size), normalize=False, **facts)(image).numpy()


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([8, 24, 33]),
    st.sampled_from([0.875, 0.9, 1.0]),
    st.sampled_from(["bilinear", "bicubic", "lanczos"]),
)
def test_the_part_that_is_kept_is_resized_as_the_whole_is(width, height, size, share, interpolation):
    image = picture(width, height)
    found = np.asarray(resized_crop(image, int(size / share), size, interpolation)).transpose(2, 0, 1)
    expected = timms_own(image, size, config(share=share, interpolation=interpolation))
    np.testing.assert_allclose(found.astype(int), expected, atol=2)


@pytest.mark.parametrize("mode", ["center", "squash", "border"])
@pytest.mark.parametrize(
    "sides", [(1, 1), (60, 40), (40, 60), (3, 3 * LONGEST), (1, 20), (20, 1), (7, 300), (40, 700), (700, 40)]
)
def test_of_ordinary_pictures_it_is_timms_own_and_of_long_ones_within_rounding(sides, mode):
    image, facts = picture(*sides), config(mode)
    found = transform_of(24, facts)(image).numpy()
    assert found.dtype == np.uint8
    is_long = mode == "center" and max(sides) > LONGEST * min(sides)
    np.testing.assert_allclose(found.astype(int), timms_own(image, 24, facts), atol=2 * is_long)


@pytest.mark.parametrize("sides", [(1, 200), (200, 1)])
def test_a_line_in_a_border_keeps_a_pixel_where_timm_rounds_it_to_none(sides):
    found = transform_of(24, config("border"))(Image.new("RGB", sides, "red")).numpy()
    background = np.array([124, 116, 104])  # ImageNet's mean, timm's border
    inside = (found != background[:, None, None]).any(0)
    assert sorted(inside.sum(axis).max() for axis in (0, 1)) == [1, 24]


LONG = """
import sys
from pathlib import Path
from PIL import Image
from unchoke.images.decode import decode_image
from unchoke.encoders.preprocessing import transform_of
from unchoke.images.views import view_of
prepare = transform_of(224, {"crop_mode": "center", "crop_pct": 0.875, "interpolation": "bicubic"})
def peak():
    return int(next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x).split()[1])
before = peak()
for size in ((1, 60_000), (60_000, 1)):
    image = Image.new("RGB", size, "red")
    for name in ("identity", "rot90", "crop_1", "colour_1"):
        assert prepare(view_of(name, image, 3)).shape == (3, 224, 224)
    image.thumbnail((96, 96))
    assert sorted(image.size) == [1, 96]
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_picture_of_one_row_takes_little_memory():
    done = subprocess.run([sys.executable, "-c", LONG], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60 * 1024  # kB
