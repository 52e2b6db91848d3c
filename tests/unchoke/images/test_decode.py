"""Image files become upright RGB pictures, or say why not."""

import errno
import io
import os
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from unchoke import regular_files
from unchoke.errors import UnreadableImageError
from unchoke.images.decode import decode_image, picture_of, read_image_file

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's remarks on what is broken on purpose

MANY = 10**9  # px, more than any picture here
RNG = np.random.default_rng(0)
RGB_HWC = RNG.integers(0, 256, (12, 17, 3), np.uint8)
GREY_HW = RNG.integers(0, 256, (12, 17), np.uint8)
ALPHA_HW = RNG.integers(0, 256, (12, 17), np.uint8)
DEEP_HW = RNG.integers(0, 65536, (12, 17), np.uint16)
SHARE_HW = RNG.random((12, 17), np.float32)
PALETTE_PC = RNG.integers(0, 256, (256, 3), np.uint8)

# What each value of the EXIF tag says was done to the upright picture (EXIF 2.3, table 6), undone.
UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: np.rot90,
}


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data, **options):
    image = decode_image(data, **{"max_pixels": MANY, **options})
    assert image.mode == "RGB"
    return np.asarray(image)


def grey_as_rgb(grey_HW):
    return np.repeat(grey_HW[:, :, None], 3, 2)


def with_alpha(colour, mode):
    return Image.fromarray(np.dstack([colour, ALPHA_HW]), mode)


def palette_image():
    image = Image.fromarray(GREY_HW, "P")
    image.putpalette(PALETTE_PC.tobytes())
    return image


def animation():
    first, second = (Image.new("RGB", (17, 12), colour) for colour in ("red", "blue"))
    return encoded(first, "GIF", save_all=True, append_images=[second])


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


EXACT = {
    "1 bit": (encoded(Image.fromarray(GREY_HW > 99), "PNG"), grey_as_rgb(np.where(GREY_HW > 99, 255, 0))),
    "grey": (encoded(Image.fromarray(GREY_HW), "PNG"), grey_as_rgb(GREY_HW)),
    "grey and alpha": (encoded(with_alpha(GREY_HW, "LA"), "PNG"), grey_as_rgb(GREY_HW)),
    "palette": (encoded(palette_image(), "PNG"), PALETTE_PC[GREY_HW]),
    "palette with one clear colour": (encoded(palette_image(), "PNG", transparency=7), PALETTE_PC[GREY_HW]),
    "palette with alpha": (encoded(palette_image(), "PNG", transparency=bytes(range(256))), PALETTE_PC[GREY_HW]),
    "colour": (encoded(Image.fromarray(RGB_HWC), "PNG"), RGB_HWC),
    "colour and alpha": (encoded(with_alpha(RGB_HWC, "RGBA"), "PNG"), RGB_HWC),
    "16-bit PNG": (encoded(Image.fromarray(DEEP_HW), "PNG"), grey_as_rgb(np.rint(DEEP_HW / 257))),
    "16-bit TIFF": (encoded(Image.fromarray(DEEP_HW), "TIFF"), grey_as_rgb(np.rint(DEEP_HW / 257))),
    "big-endian 16-bit TIFF": (
        encoded(Image.fromarray(DEEP_HW.astype(">u2")), "TIFF"),
        grey_as_rgb(np.rint(DEEP_HW / 257)),
    ),
    "32-bit TIFF": (encoded(Image.fromarray(DEEP_HW.astype(np.int32)), "TIFF"), grey_as_rgb(np.rint(DEEP_HW / 257))),
    "float TIFF": (encoded(Image.fromarray(SHARE_HW), "TIFF"), grey_as_rgb(np.rint(SHARE_HW * np.float64(255)))),
    "TIFF": (encoded(Image.fromarray(RGB_HWC), "TIFF", compression="tiff_lzw"), RGB_HWC),
    "WebP": (encoded(Image.fromarray(RGB_HWC), "WEBP", lossless=True), RGB_HWC),
    "BMP": (encoded(Image.fromarray(RGB_HWC), "BMP"), RGB_HWC),
    "animated GIF": (animation(), np.full((12, 17, 3), (255, 0, 0))),
}
EVERY_KIND = {name: data for name, (data, _) in EXACT.items()} | {
    "JPEG": encoded(Image.fromarray(RGB_HWC), "JPEG", exif=exif(6)),
    "CMYK JPEG": encoded(Image.fromarray(RGB_HWC).convert("CMYK"), "JPEG"),
}


@pytest.mark.parametrize("name", EXACT)
def test_lossless_pictures_come_out_as_they_went_in(name):
    data, expected_HWC = EXACT[name]
    np.testing.assert_array_equal(decoded(data), expected_HWC)


def test_cmyk_becomes_the_colour_that_the_inks_leave():
    c, m, y, k = 200, 30, 90, 60
    pixels = decoded(encoded(Image.new("CMYK", (16, 16), (c, m, y, k)), "JPEG", quality=100))
    expected = [(255 - ink) * (255 - k) / 255 for ink in (c, m, y)]
    np.testing.assert_allclose(pixels.reshape(-1, 3), np.tile(expected, (256, 1)), atol=3)


@pytest.mark.parametrize("name", [name for name in EVERY_KIND if "bit " not in name and "float" not in name])
def test_eight_bits_a_channel_become_what_imagefolder_makes_of_them(name):
    # torchvision.datasets.folder.pil_loader; of 16 bits it cuts off all above 255.
    data = EVERY_KIND[name]
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    np.testing.assert_array_equal(decoded(data), np.asarray(expected))


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_pictures_are_turned_upright(kind, options, orientation):
    data = encoded(Image.fromarray(RGB_HWC), kind, exif=exif(orientation), **options)
    np.testing.assert_array_equal(decoded(data), UPRIGHT[orientation](RGB_HWC))


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_photographs_are_turned_as_pillow_turns_them(mode, orientation):
    data = encoded(Image.fromarray(RGB_HWC).convert(mode), "JPEG", exif=exif(orientation))
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    np.testing.assert_array_equal(decoded(data), np.asarray(expected))


@pytest.mark.parametrize("block", [exif(0), exif(9), b"Exif\0\0MM\0*broken"])
def test_a_damaged_exif_block_turns_nothing(block):
    plain = encoded(Image.fromarray(RGB_HWC), "PNG")
    np.testing.assert_array_equal(decoded(encoded(Image.fromarray(RGB_HWC), "PNG", exif=block)), decoded(plain))


@pytest.mark.parametrize("low_high", [(0.0, 2.0), (-1.0, 1.0), (0.0, np.nan)])
def test_floats_that_are_no_shares_are_refused(low_high):
    data = encoded(Image.fromarray(np.array([low_high], np.float32)), "TIFF")
    with pytest.raises(UnreadableImageError, match="0 to 1 was expected"):
        decode_image(data, max_pixels=MANY)


def test_a_picture_of_just_max_pixels_is_read_and_a_larger_one_refused():
    data = EVERY_KIND["colour"]
    assert decoded(data, max_pixels=12 * 17).shape == (12, 17, 3)
    with pytest.raises(UnreadableImageError, match=r"17 × 12 px, above decoding\.max_pixels 203"):
        decode_image(data, max_pixels=12 * 17 - 1)


def test_a_picture_that_is_too_large_is_refused_before_its_pixels_are_read():
    header = encoded(Image.new("L", (3000, 2000)), "PNG")[:100]
    with pytest.raises(UnreadableImageError, match="3000 × 2000 px"):
        decode_image(header, max_pixels=10**6)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_half_a_file_is_refused_with_the_same_reason_each_time(name):
    half = EVERY_KIND[name][: len(EVERY_KIND[name]) // 2]
    reasons = set()
    for _ in range(2):
        with pytest.raises(UnreadableImageError, match=r"broken image: .|not an image") as caught:
            decode_image(half, max_pixels=MANY)
        reasons.add(str(caught.value))
    assert len(reasons) == 1


@pytest.mark.parametrize("data", [b"This is text.\n", b"\x89PNG\r\n\x1a\n", b"<svg></svg>"])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(UnreadableImageError, match="not an image"):
        decode_image(data, max_pixels=MANY)


@given(st.sampled_from(sorted(EVERY_KIND)), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4))
def test_damage_gives_a_picture_or_a_reason_and_nothing_else(name, changes):
    data = bytearray(EVERY_KIND[name])
    for place, value in changes:
        data[place % len(data)] = value
    try:
        assert decode_image(bytes(data), max_pixels=10**6).mode == "RGB"
    except UnreadableImageError as error:
        assert str(error)


@pytest.mark.parametrize("size", [(2000, 1500), (1500, 2000), (2000, 2000)])
@pytest.mark.parametrize("draft_px", [1, 187, 188, 375, 376, 750, 1500, 4000])
def test_a_draft_keeps_as_many_pixels_as_are_asked_for(size, draft_px):
    data = encoded(Image.new("RGB", size, "teal"), "JPEG")
    draft = decode_image(data, max_pixels=MANY, draft_px=draft_px)
    assert min(draft.size) >= min(draft_px, *size)
    assert draft.size in [tuple(-(-side // factor) for side in size) for factor in (1, 2, 4, 8)]
    assert decode_image(data, max_pixels=MANY).size == size


def test_a_draft_is_smaller_where_it_can_be():
    data = encoded(Image.new("RGB", (2000, 1500), "teal"), "JPEG", exif=exif(6))
    assert decode_image(data, max_pixels=MANY, draft_px=200).size == (375, 500)


def test_pixels_are_a_picture_as_they_are_and_bytes_are_decoded():
    for data, expected_HWC in [(RGB_HWC, RGB_HWC), EXACT["palette"]]:
        picture = picture_of(data, max_pixels=12 * 17)
        assert picture.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(picture), expected_HWC)
        with pytest.raises(UnreadableImageError, match=r"17 × 12 px, above decoding\.max_pixels 203"):
            picture_of(data, max_pixels=12 * 17 - 1)
    assert picture_of(encoded(Image.new("RGB", (800, 400)), "JPEG"), max_pixels=MANY, draft_px=100).size == (200, 100)


def test_a_file_is_read_as_it_is(tmp_path):
    (tmp_path / "a.png").write_bytes(b"bytes")
    assert read_image_file(tmp_path / "a.png") == b"bytes"


@pytest.mark.parametrize("name", ["gone.png", "folder", "empty.png", "file/below.png", "loop.png", "n" * 300])
def test_a_file_at_fault_gives_a_reason_that_names_no_folder(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.png").touch()
    (tmp_path / "file").touch()
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(UnreadableImageError) as caught:
        read_image_file(tmp_path / name)
    assert str(caught.value)
    assert "/" not in str(caught.value)
    assert tmp_path.name not in str(caught.value)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM, errno.ESTALE])
def test_a_machine_at_fault_does_not_brand_the_image(monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(regular_files.os, "open", fail)
    monkeypatch.setattr(regular_files, "check_regular", lambda *_: None)
    with pytest.raises(OSError) as caught:
        read_image_file(Path("a.png"))
    assert caught.value.errno == number


# --- formats, metadata and sizes that show only while a file is opened


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


LONG_TEXT = zlib.compress(b"x" * 1_200_000)
PNG_BLOCKS = {
    "profile": chunk(b"iCCP", b"scan\0\0" + zlib.compress(RNG.integers(0, 64, 1_200_000, np.uint8).tobytes())),
    "packed text": chunk(b"zTXt", b"Comment\0\0" + LONG_TEXT),
    "packed XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG_TEXT),
    "packed EXIF": chunk(b"zTXt", b"Raw profile type exif\0\0" + LONG_TEXT),
    "many texts": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 1_000_000)) * 70,
    "animation": chunk(b"acTL", struct.pack(">II", 9, 0)) + chunk(b"fcTL", bytes(26)),
    "damaged text": chunk(b"tEXt", b"a\0b")[:-1] + b"\0",
}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("name", PNG_BLOCKS)
def test_a_png_is_read_whatever_stands_beside_its_pixels(name, behind):
    data = EVERY_KIND["colour"]
    place = data.index(b"IEND" if behind else b"IDAT") - 4
    np.testing.assert_array_equal(decoded(data[:place] + PNG_BLOCKS[name] + data[place:]), RGB_HWC)


JPEG_SEGMENTS = {
    "profile cut short": (0xE2, b"ICC_PROFILE\0\1\7" + bytes(9)),
    "several pictures": (0xE2, b"MPF\0II*\0" + b"\xff" * 40),
    "Photoshop": (0xED, b"Photoshop 3.0\0" + b"8BIM" * 9),
    "short JFIF": (0xE0, b"JFIF"),
    "short Adobe": (0xEE, b"Adobe"),
    "damaged EXIF": (0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "large comment": (0xFE, bytes(65_000)),
}


@pytest.mark.parametrize("name", JPEG_SEGMENTS)
def test_a_jpeg_is_read_whatever_stands_beside_its_pixels(name):
    data = encoded(Image.fromarray(RGB_HWC), "JPEG")
    marker, block = JPEG_SEGMENTS[name]
    segment = struct.pack(">BBH", 0xFF, marker, len(block) + 2) + block
    np.testing.assert_array_equal(decoded(data[:2] + segment * 3 + data[2:]), decoded(data))


@pytest.mark.parametrize("text", [b"iTXt", b"zTXt"])
def test_an_orientation_in_a_text_still_turns_a_png(text):
    xmp, keyword = b'<x tiff:Orientation="6"/>', b"XML:com.adobe.xmp\0"
    block = chunk(b"iTXt", keyword + bytes(4) + xmp)
    if text == b"zTXt":
        block = chunk(
            b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\n\n\n" + exif(6).tobytes().hex().encode())
        )
    data = EVERY_KIND["colour"]
    place = data.index(b"IDAT") - 4
    np.testing.assert_array_equal(decoded(data[:place] + block + data[place:]), UPRIGHT[6](RGB_HWC))


DDS = b"DDS " + struct.pack("<7I", 124, 0x1007, 4, 4, 16, 0, 0) + bytes(44) + struct.pack("<8I", 32, 8, *[0] * 6)
FOREIGN = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
    "DDS": DDS + bytes(84),
    "ICNS": b"icns" + struct.pack(">I", 16) + b"ic07" + struct.pack(">I", 8),
    "JPEG2000": encoded(Image.fromarray(RGB_HWC), "JPEG2000"),
    "PPM": encoded(Image.fromarray(RGB_HWC), "PPM"),
    "ICO": encoded(Image.fromarray(RGB_HWC), "ICO"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_formats_that_the_readme_does_not_name_are_refused_by_name(monkeypatch, name):
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    with pytest.raises(UnreadableImageError, match=f"a picture of the format {name}, which is not read"):
        decode_image(FOREIGN[name], max_pixels=MANY)


ERRORS = [NotImplementedError, RuntimeError, MemoryError, KeyError, ZeroDivisionError, AttributeError, AssertionError]


@pytest.mark.parametrize("error", [*ERRORS, RecursionError, UserWarning, subprocess.SubprocessError, OSError])
def test_whatever_a_decoder_raises_is_a_reason(monkeypatch, error):
    def fail(*_, **__):
        raise error("of the decoder")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(UnreadableImageError, match=r"broken image: ."):
        decode_image(EVERY_KIND["grey"], max_pixels=MANY)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EIO])
def test_a_machine_at_fault_while_decoding_raises(monkeypatch, number):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        decode_image(EVERY_KIND["grey"], max_pixels=MANY)


def gif(screen, frame, before=b""):
    head = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6) + before
    control = b"\x21\xf9\x04" + bytes([2 << 2, 0, 0, 0, 0])
    return head + control + b"\x2c" + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\x02\x02\x4c\x01\x00\x3b"


def webp(side):
    canvas = (side - 1).to_bytes(3, "little") * 2
    return b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + canvas


SMALL_BUT_LARGE = {
    "GIF's screen": gif(60_000, 1),
    "GIF's frame": gif(1, 60_000),
    "GIF's frame behind a comment": gif(1, 60_000, b"\x21\xfe\x03abc\0"),
    "GIF's frame behind an empty block": gif(1, 60_000, b"\x21\xff\0\x02\x3b\x3b\0"),
    "WebP's canvas": webp(60_000),
}


@pytest.mark.parametrize("name", SMALL_BUT_LARGE)
def test_sizes_are_known_before_anything_is_opened(monkeypatch, name):
    monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(UnreadableImageError, match=r"60000 × 60000 px, above decoding\.max_pixels 1000000"):
        decode_image(SMALL_BUT_LARGE[name], max_pixels=10**6)
