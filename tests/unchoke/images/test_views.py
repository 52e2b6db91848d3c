"""Views of a picture: the eight symmetries against NumPy, crops and colours that depend on name and image alone."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from unchoke.config.views import View
from unchoke.images.views import view_of
from unchoke.names import TURNS, store_name

SEEN = {  # what numpy makes of (H, W, 3)
    "identity": lambda x: x,
    "hflip": lambda x: x[:, ::-1],
    "vflip": lambda x: x[::-1],
    "rot90": np.rot90,
    "rot180": lambda x: np.rot90(x, 2),
    "rot270": lambda x: np.rot90(x, 3),
    "transpose": lambda x: x.transpose(1, 0, 2),
    "transverse": lambda x: np.rot90(x, 2).transpose(1, 0, 2),
}


def picture(width: int, height: int) -> Image.Image:
    """Every pixel says where it stands: red the column, green the row."""
    x_HW3 = np.zeros((height, width, 3), np.uint8)
    x_HW3[..., 0], x_HW3[..., 1] = np.arange(width), np.arange(height)[:, None]
    return Image.fromarray(x_HW3)


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 240, 3), np.uint8))


def pixels(image: Image.Image) -> bytes:
    return repr(image.size).encode() + image.tobytes()


# --- flips and turns


@pytest.mark.parametrize("name", TURNS)
def test_a_turn_is_numpys(name: str) -> None:
    np.testing.assert_array_equal(view_of(name, NOISE, 3), SEEN[name](np.asarray(NOISE)))


@pytest.mark.parametrize("image", [picture(5, 3), picture(4, 4)], ids=["5 × 3", "4 × 4"])
def test_the_turns_are_all_the_symmetries_of_a_picture(image: Image.Image) -> None:
    """Eight that differ, and any two after one another are one of them: the dihedral group."""
    seen = {pixels(view_of(name, image, 0)) for name in TURNS}
    twice = {pixels(view_of(b, view_of(a, image, 0), 0)) for a, b in itertools.product(TURNS, TURNS)}
    assert len(seen) == 8
    assert twice == seen


# --- crops and colours


@pytest.mark.parametrize("kind", ["crop", "colour"])
def test_a_view_depends_on_its_name_and_the_image_alone(kind: str) -> None:
    names, ids = [f"{kind}_{number}" for number in range(6)], range(6)
    one, other = ({(n, i): pixels(view_of(n, NOISE, i)) for n in names for i in ids} for _ in range(2))
    assert one == other
    assert len(set(one.values())) == len(one)


def box_of(image: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, width, height of a part of ``picture``; it must be one whole rectangle of it."""
    x_HW3 = np.asarray(image)
    left, top = int(x_HW3[0, 0, 0]), int(x_HW3[0, 0, 1])
    whole = np.asarray(picture(256, 256))
    np.testing.assert_array_equal(x_HW3, whole[top : top + image.height, left : left + image.width])
    return left, top, image.width, image.height


@given(width=st.integers(1, 250), height=st.integers(1, 250), number=st.integers(0, 9), image_id=st.integers(0, 2**40))
def test_a_crop_is_a_part_of_the_picture(width: int, height: int, number: int, image_id: int) -> None:
    left, top, w, h = box_of(view_of(f"crop_{number}", picture(width, height), image_id))
    assert 1 <= w <= width - left and 1 <= h <= height - top


def test_crops_cover_areas_shapes_and_places() -> None:
    boxes = np.array([box_of(view_of("crop_0", picture(200, 200), image_id)) for image_id in range(400)])
    left, top, width, height = boxes.T
    area, ratio = width * height / 200**2, width / height
    assert 0.33 < area.min() < 0.4 and 0.85 < area.max() <= 1
    assert 0.74 < ratio.min() < 0.8 and 1.25 < ratio.max() < 1.35
    assert abs(np.log(ratio).mean()) < 0.04  # as often wide as tall
    for start, size in ((left, width), (top, height)):
        free = size < 190
        assert 0.4 < (start / np.maximum(1, 200 - size))[free].mean() < 0.6


def test_colours_move_brightness_within_two_fifths_and_nothing_from_its_place() -> None:
    """A grey picture knows neither contrast nor saturation."""
    grey = Image.new("RGB", (3, 2), (100, 100, 100))
    levels = []
    for image_id in range(300):
        seen = np.asarray(view_of("colour_0", grey, image_id))
        assert seen.shape == (2, 3, 3) and len(np.unique(seen)) == 1
        levels.append(int(seen[0, 0, 0]))
    assert 60 <= min(levels) < 65 and 135 < max(levels) <= 140
    assert 97 < np.mean(levels) < 103


def test_colours_move_contrast_and_saturation_too() -> None:
    seen = [np.asarray(view_of("colour_0", NOISE, image_id)).astype(float) for image_id in range(40)]
    light = np.array([x.mean() for x in seen])
    contrast = np.array([x.mean(2).std() for x in seen]) / light
    saturation = np.array([x.std(2).mean() for x in seen]) / light
    assert np.ptp(contrast) > 0.15 and np.ptp(saturation) > 0.15
    assert abs(np.corrcoef(contrast, light)[0, 1]) < 0.6  # each has a draw of its own


# --- names


@pytest.mark.parametrize("name", [*TURNS, "crop_0", "crop_17", "colour_3"])
def test_names_of_views_are_taken_and_become_stores_of_their_own(name: str) -> None:
    assert TypeAdapter(View).validate_python(name) == name
    assert store_name("b0", name) == ("b0" if name == "identity" else f"b0@{name}")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("hflp", "hflip"),
        ("rot9", "rot90"),
        ("crop_", "crop_0"),
        ("crop_x", "crop_0"),
        ("color_1", "colour_0"),
        ("crop_1\n", "crop_0"),
        ("crop_٣", "crop_0"),
    ],
)
def test_other_names_are_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ValidationError, match=f"did you mean '{nearest}'"):
        TypeAdapter(View).validate_python(name)
