"""Every kind of TIFF has the colours that its numbers stand for, read as a whole and read in windows alike."""

import io
import struct
from itertools import product

import numpy as np
import pytest
import tifffile
from PIL import Image

from unchoke.errors import UnreadableImageError
from unchoke.images.decode import decode_image
from unchoke.images.windows import open_image, open_mask

MANY = 10**8  # px, more than any picture here
RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 37, 52  # no multiples of a tile
SIDES = (HEIGHT, WIDTH)
RGB_HWC = RNG.integers(0, 256, (*SIDES, 3), np.uint8)
DEEP_HWC = RNG.integers(0, 65536, (*SIDES, 3), np.uint16)
ALPHA_HW1 = RNG.integers(1, 256, (*SIDES, 1), np.uint8)
INKS_HWC = RNG.integers(0, 256, (*SIDES, 4), np.uint8)
GREY_HW, SHARE_HW = RGB_HWC[..., 0], RNG.random(SIDES)
PALETTE_3P = RNG.integers(0, 65536, (3, 256), np.uint16)
DARK_HWC = RGB_HWC // 2 * ALPHA_HW1.astype(int) // 255  # multiplied by alpha
SEPARATE = {"planarconfig": "separate"}
COLOUR, CONTIG = {"photometric": "rgb"}, {"planarconfig": "contig"}


def planes(pixels_HWC):
    return np.moveaxis(pixels_HWC, -1, 0)


def eight(values, full):
    """Shares of `full` as 8 bits, in float64."""
    return np.rint(np.asarray(values, np.float64) * 255 / full)


def behind(colours_HWC, alpha_HW1):
    return np.concatenate([colours_HWC, alpha_HW1], -1).astype(colours_HWC.dtype)


# Name: what is written, how, and the colours (H, W, 3) or the grey (H, W) that are to be read.
KINDS = {
    "RGB": (RGB_HWC, COLOUR, RGB_HWC),
    "RGB in planes": (planes(RGB_HWC), COLOUR | SEPARATE, RGB_HWC),
    "RGB of 16 bits": (DEEP_HWC, COLOUR, eight(DEEP_HWC, 65535)),
    "RGB of 16 bits in planes": (planes(DEEP_HWC), COLOUR | SEPARATE, eight(DEEP_HWC, 65535)),
    "RGB of floats": (SHARE_HW[..., None] * [1, 0.5, 0.25], COLOUR, eight(SHARE_HW[..., None] * [1, 0.5, 0.25], 1)),
    "RGBA": (behind(RGB_HWC, ALPHA_HW1), COLOUR | {"extrasamples": ["unassalpha"]}, RGB_HWC),
    "RGBA of 16 bits in planes": (
        planes(behind(DEEP_HWC, ALPHA_HW1)),
        COLOUR | SEPARATE | {"extrasamples": ["unassalpha"]},
        eight(DEEP_HWC, 65535),
    ),
    "RGB and three more": (
        np.concatenate([RGB_HWC, RGB_HWC[::-1]], -1),
        COLOUR | CONTIG | {"extrasamples": ["unspecified"] * 3},
        RGB_HWC,
    ),
    "RGB multiplied by alpha": (
        behind(DARK_HWC.astype(np.uint8), ALPHA_HW1),
        COLOUR | {"extrasamples": ["assocalpha"]},
        np.minimum(255, DARK_HWC * 255 // ALPHA_HW1),
    ),
    "grey": (GREY_HW, {}, GREY_HW),
    "grey and alpha of 16 bits": (
        np.dstack([DEEP_HWC[..., 0], ALPHA_HW1]),
        CONTIG | {"photometric": "minisblack", "extrasamples": ["unassalpha"]},
        eight(DEEP_HWC[..., 0], 65535),
    ),
    "grey that is white at 0": (GREY_HW, {"photometric": "miniswhite"}, 255 - GREY_HW),
    "grey of 16 bits that is white at 0": (
        DEEP_HWC[..., 0],
        {"photometric": "miniswhite"},
        255 - eight(DEEP_HWC[..., 0], 65535),
    ),
    "palette": (GREY_HW, {"photometric": "palette", "colormap": PALETTE_3P}, PALETTE_3P.T[GREY_HW] >> 8),
    "signed 8 bits": ((GREY_HW // 2).astype(np.int8), {}, GREY_HW // 2),
    "signed 16 bits": ((GREY_HW * 100).astype(np.int16), {}, eight((GREY_HW * 100).astype(np.int16), 65535)),
    "32 bits": (DEEP_HWC[..., 0].astype(np.uint32), {}, eight(DEEP_HWC[..., 0], 65535)),
    "signed 32 bits": (DEEP_HWC[..., 0].astype(np.int32), {}, eight(DEEP_HWC[..., 0], 65535)),
    "floats of 16 bits": (SHARE_HW.astype(np.float16), {}, eight(SHARE_HW.astype(np.float16), 1)),
    "floats of 32 bits": (SHARE_HW.astype(np.float32), {}, eight(SHARE_HW.astype(np.float32), 1)),
    "floats of 64 bits": (SHARE_HW, {}, eight(SHARE_HW, 1)),
}
KINDS = {name: kind for name, kind in KINDS.items() if (kind[2] >= 0).all()}
STORAGES = {
    "at one piece": {},
    "big-endian": {"byteorder": ">"},
    "strips": {"rowsperstrip": 5},
    "big-endian deflated strips": {"byteorder": ">", "rowsperstrip": 7, "compression": "deflate"},
    "tiles in BigTIFF": {"tile": (16, 32), "bigtiff": True},
    "LZW strips": {"rowsperstrip": 5, "compression": "lzw"},
    "LZW tiles in big-endian BigTIFF": {"tile": (32, 16), "bigtiff": True, "byteorder": ">", "compression": "lzw"},
    "packed bytes": {"compression": "packbits"},
    "Zstandard": {"compression": "zstd"},
    "LZMA": {"compression": "lzma", "tile": (16, 16)},
}


def tiff(values, **options):
    """The bytes of a TIFF by tifffile."""
    data = io.BytesIO()
    opening = {name: options.pop(name) for name in ("byteorder", "bigtiff") if name in options}
    with tifffile.TiffWriter(data, **opening) as file:
        file.write(values, **options)
    return data.getvalue()


def both_ways(data, tmp_path):
    """What decoding the whole and what windows make of a file."""
    (tmp_path / "a.tif").write_bytes(data)
    windows = open_image(tmp_path / "a.tif", MANY)
    whole_HWC = np.asarray(decode_image(data, max_pixels=MANY))
    assert whole_HWC.shape == (windows.height, windows.width, 3)
    part_HWC = windows.read(3, 5, 20, 30)
    np.testing.assert_array_equal(part_HWC, windows.read(0, 0, windows.height, windows.width)[3:23, 5:35])
    return whole_HWC, windows.read(0, 0, windows.height, windows.width)


def assert_both_are(data, tmp_path, expected):
    expected_HWC = expected if np.ndim(expected) == 3 else np.repeat(np.asarray(expected)[..., None], 3, 2)
    for found_HWC in both_ways(data, tmp_path):
        assert found_HWC.dtype == np.uint8
        np.testing.assert_array_equal(found_HWC, expected_HWC)


@pytest.mark.parametrize(("kind", "storage"), list(product(KINDS, STORAGES)))
def test_colours_are_those_that_the_numbers_stand_for(tmp_path, kind, storage):
    values, options, expected = KINDS[kind]
    assert_both_are(tiff(values, **options, **STORAGES[storage]), tmp_path, expected)


def packed_rows(values_HW, bits):
    """Numbers of a few bits, the highest first, each row from a new byte on (TIFF 6.0, BitsPerSample)."""
    shifts = np.arange(bits)[::-1]
    return b"".join(np.packbits(row[:, None] >> shifts & 1).tobytes() for row in values_HW.astype(np.uint32))


def written_by_hand(samples, bits, byteorder):
    """A grey TIFF of one strip: widths and heights as in `SIDES`."""
    facts = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: 1, 277: 1, 278: HEIGHT, 279: len(samples)}
    facts[273] = 8 + 2 + 12 * (len(facts) + 1) + 4  # where the samples stand
    tags = b"".join(struct.pack(f"{byteorder}HHII", tag, 4, 1, fact) for tag, fact in sorted(facts.items()))
    head = {"<": b"II", ">": b"MM"}[byteorder] + struct.pack(f"{byteorder}HIH", 42, 8, len(facts))
    return head + tags + bytes(4) + samples


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bits", [*range(2, 16), 20])
def test_bits_are_shares_of_the_largest_number_that_they_hold(tmp_path, bits, byteorder):
    values_HW = RNG.integers(0, 2**bits, SIDES)
    data = written_by_hand(packed_rows(values_HW, bits), bits, byteorder)
    assert_both_are(data, tmp_path, eight(values_HW, 2**bits - 1))


def test_24_bits_are_refused_since_their_order_is_not_agreed_upon(tmp_path):
    (tmp_path / "a.tif").write_bytes(data := written_by_hand(bytes(3 * HEIGHT * WIDTH), 24, "<"))
    with pytest.raises(UnreadableImageError, match="TIFF with samples of 24 bits"):
        decode_image(data, max_pixels=MANY)
    with pytest.raises(UnreadableImageError, match="TIFF with samples of 24 bits"):
        open_image(tmp_path / "a.tif", MANY)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("storage", [{}, {"compression": "packbits"}, {"tile": (16, 16), "compression": "deflate"}])
def test_one_bit_is_black_and_white(tmp_path, photometric, storage):
    white = GREY_HW > 99 if photometric == "minisblack" else GREY_HW <= 99
    assert_both_are(tiff(GREY_HW > 99, photometric=photometric, **storage), tmp_path, np.where(white, 255, 0))


@pytest.mark.parametrize("predictor", [True, False])
@pytest.mark.parametrize("kind", ["RGB", "RGB of 16 bits", "RGB of 16 bits in planes", "floats of 32 bits"])
def test_differences_are_added_up(tmp_path, kind, predictor):
    values, options, expected = KINDS[kind]
    data = tiff(values, **options, compression="deflate", predictor=predictor, byteorder=">", tile=(16, 16))
    assert_both_are(data, tmp_path, expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["RGB of 16 bits in planes", "palette", "grey"])
def test_pictures_and_masks_are_turned(tmp_path, kind, orientation):
    values, options, expected = KINDS[kind]
    data = tiff(values, **options, extratags=[(274, 3, 1, orientation, True)])
    upright = expected if orientation < 5 else expected.swapaxes(0, 1)
    upright = upright[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]
    assert_both_are(data, tmp_path, upright)
    if kind != "RGB of 16 bits in planes":
        mask = open_mask(tmp_path / "a.tif", MANY)
        numbers = GREY_HW if orientation < 5 else GREY_HW.T
        numbers = numbers[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]
        np.testing.assert_array_equal(mask.read(0, 0, mask.height, mask.width), numbers)


def saved(image, **options):
    data = io.BytesIO()
    image.save(data, "TIFF", **options)
    return data.getvalue()


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax_is_black_and_white(tmp_path, compression):
    data = saved(Image.fromarray(GREY_HW > 99), compression=compression)
    assert_both_are(data, tmp_path, np.where(GREY_HW > 99, 255, 0))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_inks_become_the_colours_that_they_leave(tmp_path, compression):
    data = saved(Image.fromarray(INKS_HWC, "CMYK"), compression=compression)
    expected_HWC = (255.0 - INKS_HWC[..., :3]) * (255 - INKS_HWC[..., 3:]) / 255
    for found_HWC in both_ways(data, tmp_path):
        np.testing.assert_allclose(found_HWC, expected_HWC, atol=1)


@pytest.mark.parametrize("codec", ["webp", "jpeg2000"])
def test_pictures_in_tiles_are_decoded(tmp_path, codec):
    args = {"lossless": True} if codec == "webp" else {"reversible": True, "level": 0}
    data = tiff(RGB_HWC, photometric="rgb", tile=(16, 16), compression=codec, compressionargs=args)
    assert_both_are(data, tmp_path, RGB_HWC)


@pytest.mark.parametrize("storage", [{}, {"tile": (16, 16), "compression": "deflate"}])
@pytest.mark.parametrize(
    ("values", "found"),
    [
        ((GREY_HW.astype(int) - 92).astype(np.int8), "-"),
        (DEEP_HWC[..., 0].view(np.int16), "-"),
        (DEEP_HWC[..., 0].astype(np.uint32) * 2, "0 to 65535 was expected"),
        (np.where(SHARE_HW > 0.5, SHARE_HW, np.nan), "nan"),
    ],
    ids=["signed 8 bits", "signed 16 bits", "32 bits", "no numbers"],
)
def test_numbers_that_are_no_shares_are_refused_both_ways(tmp_path, values, found, storage):
    data = tiff(values, **storage)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(UnreadableImageError, match=f"grey values from .*{found}"):
        decode_image(data, max_pixels=MANY)
    with pytest.raises(UnreadableImageError, match=f"grey values from .*{found}"):
        open_image(tmp_path / "a.tif", MANY).read(0, 0, HEIGHT, WIDTH)


def claiming(codec, side):
    """A TIFF of one 64 px tile whose picture says that it has `side` px."""
    data = tiff(np.zeros((64, 64, 3), np.uint8), photometric="rgb", tile=(64, 64), compression=codec)
    place = data.rindex({"jpeg": b"\xff\xc0", "jpeg2000": b"\xff\x51", "webp": b"VP8"}[codec])
    if codec == "jpeg":
        return data[: place + 5] + struct.pack(">HH", side, side) + data[place + 9 :]
    if codec == "jpeg2000":
        both = struct.pack(">II", side, side)
        return data[: place + 6] + both + data[place + 14 : place + 22] + both + data[place + 30 :]
    bits = struct.pack("<I", (side - 1) | (side - 1) << 14) if data[place : place + 4] == b"VP8L" else None
    if bits:
        return data[: place + 9] + bits + data[place + 13 :]
    return data[: place + 14] + struct.pack("<HH", side, side) + data[place + 18 :]


@pytest.mark.parametrize("codec", ["jpeg", "jpeg2000", "webp"])
def test_a_tile_whose_picture_is_larger_than_it_is_refused_undecoded(tmp_path, monkeypatch, codec):
    data = claiming(codec, 12_000)
    (tmp_path / "a.tif").write_bytes(data)
    for module in ("jpeg_decode", "jpeg2k_decode", "webp_decode"):
        monkeypatch.setattr(f"imagecodecs.{module}", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(UnreadableImageError, match="a tile or strip of 64 × 64 px holds a picture of 12000 × 12000 px"):
        decode_image(data, max_pixels=MANY)
    with pytest.raises(UnreadableImageError, match="12000 × 12000 px"):
        open_image(tmp_path / "a.tif", MANY).read(0, 0, 8, 8)
