"""simplejpeg gives the pixels and the reasons that Pillow gives; where it could not, Pillow decodes."""

import struct

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.images import decoders
from unchoke.images.decode import decode_image
from unchoke.images.decoders import PILLOW, SIMPLEJPEG
from unchoke.images.jpegs import MOST_PX, check_decoder

from .test_decode import EXACT, JPEG_SEGMENTS, encoded, exif

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
MANY = 10**9
RNG = np.random.default_rng(1)
PICTURE = Image.fromarray(RNG.integers(0, 256, (9, 12, 3), np.uint8)).resize((96, 72), Image.Resampling.BICUBIC)
XMP = b'<x tiff:Orientation="8"/>'


def photograph(mode="RGB", size=(96, 72), **options):
    return encoded(PICTURE.resize(size).convert(mode), "JPEG", **options)


def with_segment(data, marker, block):
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(block) + 2) + block + data[2:]


def outcome(data, decoder, draft_px=None, max_pixels=MANY):
    """The pixels, or the reason why there are none."""
    try:
        picture = decode_image(data, max_pixels=max_pixels, draft_px=draft_px, decoder=decoder)
    except UnreadableImageError as error:
        return str(error)
    assert picture.mode == "RGB"
    return np.asarray(picture).tolist()


def assert_same(data, draft_px=None, max_pixels=MANY):
    assert outcome(data, SIMPLEJPEG, draft_px, max_pixels) == outcome(data, PILLOW, draft_px, max_pixels)


@given(
    st.tuples(st.integers(1, 140), st.integers(1, 140)),
    st.none() | st.integers(1, 150),
    st.sampled_from(["RGB", "L", "CMYK"]),
    st.fixed_dictionaries(
        {"quality": st.integers(1, 100), "subsampling": st.sampled_from([0, 1, 2]), "progressive": st.booleans()},
        optional={"restart_marker_blocks": st.just(3)},
    ),
    st.integers(0, 9),
)
def test_pixels_are_those_of_pillow(size, draft_px, mode, options, orientation):
    assert_same(photograph(mode, size, exif=exif(orientation), **options), draft_px)


FILES = {
    **{name: data for name, (data, _) in EXACT.items()},
    **{name: with_segment(photograph(), marker, block) for name, (marker, block) in JPEG_SEGMENTS.items()},
    "components that are RGB": photograph(keep_rgb=True, subsampling=0),
    "colour profile": photograph(icc_profile=b"profile"),
    "XMP that turns": photograph(xmp=XMP),
    "XMP beside EXIF": photograph(xmp=XMP, exif=exif(3)),
    "EXIF in two parts": with_segment(photograph(exif=exif(6)), 0xE1, b"Exif\0\0II*\0"),
    "arithmetic coding": photograph().replace(b"\xff\xc0", b"\xff\xc9"),
    "12 bits": photograph().replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
    "two frames": with_segment(photograph(), 0xC0, b"\x08\0\x10\0\x10\x03\x01\x11\0\x02\x11\0\x03\x11\0"),
    "no height": photograph().replace(b"\x08\0\x48\0\x60", b"\x08\0\0\0\x60"),
    "bytes behind": photograph() + bytes(50),
    "another picture behind": photograph() + photograph("L"),
    "no end": photograph()[:-2],
    "wrong Huffman table": photograph().replace(b"\xff\xc4\0\x1f", b"\xff\xc4\0\x1e"),
    "too short": b"\xff\xd8\xff",
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_not_common_give_what_pillow_gives(name):
    assert_same(FILES[name])
    assert_same(FILES[name], draft_px=20)
    assert_same(FILES[name], max_pixels=100)


@given(
    st.sampled_from([photograph(), photograph("L", progressive=True), photograph("CMYK"), photograph(exif=exif(5))]),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=4),
    st.none() | st.integers(1, 4000),
)
def test_damage_gives_the_picture_or_the_reason_of_pillow(data, changes, stop):
    data = bytearray(data[:stop])
    for place, value in changes:
        data[place % len(data)] = value
    assert_same(bytes(data), max_pixels=10**6)


def test_pillow_opens_no_common_jpeg(monkeypatch):
    data = photograph(exif=exif(6))
    expected = outcome(data, PILLOW)
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("opened by Pillow"))
    assert outcome(data, SIMPLEJPEG) == expected


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: pytest.fail("decoded"))
    assert outcome(photograph(), SIMPLEJPEG, max_pixels=96 * 72 - 1) == outcome(photograph(), PILLOW, None, 96 * 72 - 1)
    assert "above decoding.max_pixels" in outcome(photograph(), SIMPLEJPEG, max_pixels=96 * 72 - 1)


@pytest.mark.parametrize(("draft_px", "by_pillow"), [(None, True), (300, False)])
def test_pillow_decodes_what_is_large_when_it_is_scaled(monkeypatch, draft_px, by_pillow):
    side = int(MOST_PX**0.5) + 1
    opened, real = [], Image.open
    monkeypatch.setattr(Image, "open", lambda *args, **options: opened.append(1) or real(*args, **options))
    decode_image(photograph(size=(side, side)), max_pixels=MANY, draft_px=draft_px, decoder=SIMPLEJPEG)
    assert bool(opened) is by_pillow


def test_a_decoder_that_is_not_installed_is_refused_with_the_command(monkeypatch):
    check_decoder.cache_clear()
    monkeypatch.setattr(decoders, "find_spec", lambda _: None)
    with pytest.raises(UnchokeError, match=r"pip install 'unchoke\[simplejpeg\]'"):
        check_decoder(SIMPLEJPEG)
    check_decoder(PILLOW)


def test_a_decoder_with_other_pixels_is_refused(monkeypatch):
    check_decoder.cache_clear()
    check_decoder(SIMPLEJPEG)
    check_decoder.cache_clear()
    real = simplejpeg.decode_jpeg
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *a, **k: real(*a, **{**k, "fastupsample": True}))
    with pytest.raises(UnchokeError, match="different pixels"):
        check_decoder(SIMPLEJPEG)
    check_decoder.cache_clear()
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *a, **k: real(*a, **{**k, "fastdct": True}))
    with pytest.raises(UnchokeError, match="different pixels"):
        check_decoder(SIMPLEJPEG)


def test_each_sample_has_another_kind_and_every_scale(monkeypatch):
    check_decoder.cache_clear()
    sizes, real = set(), simplejpeg.decode_jpeg

    def noted(data, *args, **options):
        pixels = real(data, *args, **options)
        sizes.add((data, pixels.shape))
        return pixels

    monkeypatch.setattr(simplejpeg, "decode_jpeg", noted)
    check_decoder(SIMPLEJPEG)
    assert sorted({shape for _, shape in sizes}) == [(7, 9, 3), (14, 18, 3), (28, 36, 3), (56, 72, 3)]
    assert len({data for data, _ in sizes}) == 4
