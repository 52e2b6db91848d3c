"""HEIC and AVIF: the pixels that were written, upright; too large ones are refused before they are decoded."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from unchoke.errors import UnreadableImageError
from unchoke.images import heif
from unchoke.images.decode import decode_image
from unchoke.images.windows import image_size
from unchoke.sources.kinds import folder

pillow_heif = pytest.importorskip("pillow_heif")
HEIGHT, WIDTH = 96, 160
FORMATS = ["HEIF", *(["AVIF"] if features.check("avif") else [])]


def picture() -> np.ndarray:
    """Three flat colours, red at the top left: lossy coding keeps them within a few grey levels."""
    pixels_HW3 = np.full((HEIGHT, WIDTH, 3), (20, 160, 60), np.uint8)
    pixels_HW3[: HEIGHT // 2, : WIDTH // 2] = (210, 40, 30)
    pixels_HW3[HEIGHT // 2 :] = (30, 50, 190)
    return pixels_HW3


def encoded(kind: str, pixels: np.ndarray, **more: object) -> bytes:
    pillow_heif.register_heif_opener()
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind, quality=95, **more)
    return data.getvalue()


def away_from_edges(pixels_HW3: np.ndarray) -> np.ndarray:
    return pixels_HW3[8::16, 8::16].astype(int)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_pixels_are_those_that_were_written(kind: str) -> None:
    data = encoded(kind, picture())
    assert heif.is_heif(data) and heif.size_of(data) == (WIDTH, HEIGHT)
    made = np.asarray(decode_image(data, max_pixels=WIDTH * HEIGHT))
    assert made.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(away_from_edges(made) - away_from_edges(picture())).max() <= 8


@pytest.mark.skipif("AVIF" not in FORMATS, reason="Pillow was built without AVIF")
def test_a_turned_picture_is_upright() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # the first row is the right side
    made = np.asarray(decode_image(encoded("AVIF", picture(), exif=turned), max_pixels=10**6))
    expected = np.rot90(picture(), -1)
    assert made.shape == expected.shape
    assert np.abs(away_from_edges(made) - away_from_edges(expected)).max() <= 8


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_above_the_limit_is_refused_by_its_header(kind: str) -> None:
    data = encoded(kind, picture())
    with pytest.raises(UnreadableImageError, match=f"{WIDTH} × {HEIGHT} px, above decoding.max_pixels 15359"):
        decode_image(data, max_pixels=WIDTH * HEIGHT - 1)
    with pytest.raises(UnreadableImageError, match="60000 × 50000 px"):
        decode_image(with_size(data, 60_000, 50_000), max_pixels=10**6)


@pytest.mark.parametrize("spoil", [lambda data: with_size(data, 16, 16), lambda data: data[: len(data) // 2]])
def test_a_picture_that_lies_or_is_cut_short_is_unreadable(spoil) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UnreadableImageError):
        decode_image(spoil(encoded("HEIF", picture())), max_pixels=WIDTH * HEIGHT)


def with_size(data: bytes, width: int, height: int) -> bytes:
    place = data.index(b"ispe") + 8
    return data[:place] + struct.pack(">II", width, height) + data[place + 8 :]


def test_without_the_package_the_reason_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heif, "is_readable", lambda: False)
    with pytest.raises(UnreadableImageError, match=r"pip install 'unchoke\[heif\]'"):
        decode_image(encoded("HEIF", picture()), max_pixels=10**6)


def test_folders_list_them_and_their_sizes_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.HEIC").write_bytes(encoded("HEIF", picture()))
    assert [image.path for image in folder.list_images(tmp_path).images] == ["a/1.HEIC"]
    assert image_size(tmp_path / "a" / "1.HEIC") == (HEIGHT, WIDTH)
