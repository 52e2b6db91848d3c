"""Windows of images and masks are what the whole decode has there, and large ones are never decoded whole."""

import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from unchoke.errors import UnreadableImageError
from unchoke.images import windows
from unchoke.images.decode import decode_image
from unchoke.images.windows import image_size, labels_of, open_image, open_mask, read_labels, read_patch, reflected
from unchoke.names import IGNORED

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),  # Pillow's remarks on what is broken on purpose
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

MANY = 10**8  # px, more than any picture here
RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 75, 90  # no multiple of a tile
RGB_HWC = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
RGBA_HWC = RNG.integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
GREY_HW = RNG.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
DEEP_HW = RNG.integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
SHARE_HW = RNG.random((HEIGHT, WIDTH), np.float32)
SMOOTH_HWC = np.stack([np.add.outer(np.arange(HEIGHT), np.arange(WIDTH))] * 3, -1).astype(np.uint8)
PALETTE_3P = RNG.integers(0, 65536, (3, 256), np.uint16)
TILED = {"tile": (32, 48)}
COLOUR = {"photometric": "rgb"}


def grey_as_rgb(grey_HW):
    return np.repeat(np.rint(grey_HW).astype(np.uint8)[:, :, None], 3, 2)


def packed(rgb_HWC):
    red, green, blue = rgb_HWC[..., :3].astype(int).transpose(2, 0, 1)
    return red * 65536 + green * 256 + blue


# Name: what is written, how, and what is to be read of an image.
TIFFS = {
    "RGB in tiles": (RGB_HWC, {**COLOUR, **TILED}, RGB_HWC),
    "RGB in deflated tiles": (RGB_HWC, {**COLOUR, **TILED, "compression": "deflate"}, RGB_HWC),
    "RGB in deflated tiles of differences": (
        RGB_HWC,
        {**COLOUR, **TILED, "compression": "deflate", "predictor": True},
        RGB_HWC,
    ),
    "RGB in LZW tiles": (RGB_HWC, {**COLOUR, **TILED, "compression": "lzw"}, RGB_HWC),
    "RGB in Zstandard strips": (RGB_HWC, {**COLOUR, "rowsperstrip": 7, "compression": "zstd"}, RGB_HWC),
    "RGB in strips": (RGB_HWC, {**COLOUR, "rowsperstrip": 7}, RGB_HWC),
    "RGB at one piece": (RGB_HWC, COLOUR, RGB_HWC),
    "RGB of planes": (
        RGB_HWC.transpose(2, 0, 1),
        {**COLOUR, "planarconfig": "separate"},
        RGB_HWC,
    ),
    "RGB of planes in deflated tiles": (
        RGB_HWC.transpose(2, 0, 1),
        {**COLOUR, **TILED, "planarconfig": "separate", "compression": "deflate"},
        RGB_HWC,
    ),
    "RGBA in tiles": (RGBA_HWC, {**COLOUR, **TILED, "extrasamples": ["unassalpha"]}, RGBA_HWC[..., :3]),
    "big-endian RGB in BigTIFF": (RGB_HWC, {**COLOUR, **TILED, "byteorder": ">", "bigtiff": True}, RGB_HWC),
    "grey in tiles": (GREY_HW, TILED, grey_as_rgb(GREY_HW)),
    "grey and alpha": (
        np.dstack([GREY_HW, RGBA_HWC[..., 3]]),
        {**TILED, "photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]},
        grey_as_rgb(GREY_HW),
    ),
    "16-bit grey in tiles": (DEEP_HW, TILED, grey_as_rgb(DEEP_HW / 257)),
    "16-bit grey at one piece, big-endian": (DEEP_HW, {"byteorder": ">"}, grey_as_rgb(DEEP_HW / 257)),
    "16-bit grey in deflated strips, big-endian": (
        DEEP_HW,
        {"byteorder": ">", "compression": "deflate", "rowsperstrip": 16},
        grey_as_rgb(DEEP_HW / 257),
    ),
    "float grey in tiles": (SHARE_HW, {**TILED, "compression": "deflate"}, grey_as_rgb(SHARE_HW * np.float64(255))),
}


def write_tiff(path, values, options):
    options = dict(options)
    opening = {name: options.pop(name) for name in ("byteorder", "bigtiff") if name in options}
    with tifffile.TiffWriter(path, **opening) as file:
        file.write(values, **options)
    return path


def saved(path, image, **options):
    image.save(path, **options)
    return path


def whole(of):
    return of.read(0, 0, of.height, of.width)


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def png_of_bits(bits, values_HW):
    """A grey PNG of 1, 2 or 4 bits, written by hand."""
    rows = [np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel() for row in values_HW]
    data = zlib.compress(b"".join(b"\0" + np.packbits(row).tobytes() for row in rows))
    head = struct.pack(">IIBBBBB", values_HW.shape[1], values_HW.shape[0], bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + block(b"IHDR", head) + block(b"IDAT", data) + block(b"IEND", b"")


def block(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# --- images


@pytest.mark.parametrize("name", TIFFS)
def test_a_tiff_is_read_as_it_was_written(tmp_path, name):
    values, options, expected_HWC = TIFFS[name]
    image = open_image(write_tiff(tmp_path / "a.tif", values, options), MANY)
    assert (image.height, image.width) == (HEIGHT, WIDTH)
    pixels_HWC = whole(image)
    assert pixels_HWC.dtype == np.uint8
    np.testing.assert_array_equal(pixels_HWC, expected_HWC)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiffs")
    return {name: write_tiff(folder / f"{number}.tif", *TIFFS[name][:2]) for number, name in enumerate(TIFFS)}


@given(
    st.sampled_from(sorted(TIFFS)),
    st.integers(0, HEIGHT - 1),
    st.integers(0, WIDTH - 1),
    st.integers(1, HEIGHT),
    st.integers(1, WIDTH),
)
def test_a_window_is_that_part_of_the_whole(written, name, y0, x0, height, width):
    height, width = min(height, HEIGHT - y0), min(width, WIDTH - x0)
    window = open_image(written[name], MANY).read(y0, x0, height, width)
    np.testing.assert_array_equal(window, TIFFS[name][2][y0 : y0 + height, x0 : x0 + width])


@pytest.mark.parametrize("name", ["RGB in LZW tiles", "RGB in strips", "RGBA in tiles", "16-bit grey in tiles"])
def test_windows_of_a_tiff_are_what_decoding_it_whole_gives(written, name):
    expected = np.asarray(decode_image(written[name].read_bytes(), max_pixels=MANY))
    np.testing.assert_array_equal(whole(open_image(written[name], MANY)), expected)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2)])
def test_jpeg_in_tiles_becomes_the_colours_that_tifffile_decodes(tmp_path, subsampling):
    path = tmp_path / "a.tif"
    options = {"compression": "jpeg", "compressionargs": {"level": 95}, "subsampling": subsampling}
    tifffile.imwrite(path, SMOOTH_HWC, photometric="rgb", tile=(32, 48), **options)
    pixels_HWC = whole(open_image(path, MANY))
    np.testing.assert_array_equal(pixels_HWC, tifffile.imread(path))
    np.testing.assert_allclose(pixels_HWC[:32].astype(int), SMOOTH_HWC[:32], atol=9)


def test_a_pyramid_gives_its_finest_level_and_several_pages_the_first(tmp_path):
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as file:
        file.write(RGB_HWC, subifds=1, photometric="rgb", tile=(32, 32))
        file.write(RGB_HWC[::2, ::2], subfiletype=1, photometric="rgb", tile=(32, 32))
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        file.write(RGB_HWC, photometric="rgb", tile=(32, 32))
        file.write(255 - RGB_HWC, photometric="rgb", tile=(32, 32))
    for name in ("pyramid.tif", "pages.tif"):
        np.testing.assert_array_equal(whole(open_image(tmp_path / name, MANY)), RGB_HWC)


def test_tiles_that_are_left_out_of_the_file_are_black(tmp_path):
    tiles = [np.full((32, 48, 3), 7, np.uint8), *[None] * 5]
    path = tmp_path / "a.tif"
    shape = (HEIGHT, WIDTH, 3)
    tifffile.imwrite(path, iter(tiles), shape=shape, dtype=np.uint8, photometric="rgb", compression="lzw", **TILED)
    pixels_HWC = whole(open_image(path, MANY))
    assert (pixels_HWC[:32, :48] == 7).all()
    assert not pixels_HWC[32:].any()


PALETTE_TIFF = (GREY_HW, {"photometric": "palette", "colormap": PALETTE_3P, **TILED})


def test_a_tiff_on_its_side_is_decoded_whole_up_to_max_pixels(tmp_path):
    path = write_tiff(tmp_path / "a.tif", RGB_HWC, {**COLOUR, "extratags": [(274, 3, 1, 6, True)]})
    image = open_image(path, HEIGHT * WIDTH)
    assert (image.height, image.width) == image_size(path)
    np.testing.assert_array_equal(whole(image), np.rot90(RGB_HWC, -1))
    with pytest.raises(UnreadableImageError, match=r"above decoding\.max_pixels 6749 \(TIFF with .* is not read in"):
        open_image(path, HEIGHT * WIDTH - 1)


def test_tiff_of_another_kind_is_refused_with_its_kind(tmp_path):
    path = write_tiff(
        tmp_path / "a.tif", RNG.integers(0, 256, (HEIGHT, WIDTH, 5), np.uint8), {"planarconfig": "contig"}
    )
    with pytest.raises(UnreadableImageError, match="5 samples a pixel"):
        open_image(path, MANY)


def test_a_single_strip_above_max_pixels_is_refused_where_it_is_compressed_alone(tmp_path):
    packed_path = write_tiff(tmp_path / "a.tif", GREY_HW, {"compression": "deflate", "rowsperstrip": HEIGHT})
    with pytest.raises(UnreadableImageError, match="strips of 90 × 75 px"):
        open_image(packed_path, 1000)
    plain = write_tiff(tmp_path / "b.tif", GREY_HW, {})
    np.testing.assert_array_equal(open_image(plain, 1000).read(3, 4, 5, 6)[..., 0], GREY_HW[3:8, 4:10])


@pytest.mark.parametrize("value", [-0.5, 1.5, np.nan])
def test_floats_that_are_no_shares_are_refused_where_they_are_read(tmp_path, value):
    image = open_image(write_tiff(tmp_path / "a.tif", np.full((20, 20), value, np.float32), {}), MANY)
    with pytest.raises(UnreadableImageError, match="0 to 1 was expected"):
        image.read(0, 0, 5, 5)


ENDINGS = {"png": {}, "webp": {"lossless": True}, "bmp": {}, "jpg": {}, "tif": {}}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_other_formats_are_what_decoding_them_gives(tmp_path, ending, orientation):
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(RGB_HWC), exif=exif(orientation), **ENDINGS[ending])
    image = open_image(path, MANY)
    expected = np.asarray(decode_image(path.read_bytes(), max_pixels=MANY))
    np.testing.assert_array_equal(whole(image), expected)
    np.testing.assert_array_equal(image.read(5, 6, 7, 8), expected[5:12, 6:14])
    assert (image.height, image.width) == expected.shape[:2] == image_size(path)


def test_other_formats_are_refused_above_max_pixels(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(RGB_HWC))
    for opened in (open_image, open_mask):
        with pytest.raises(UnreadableImageError, match=r"90 × 75 px, above decoding\.max_pixels 6749"):
            opened(path, HEIGHT * WIDTH - 1)


def test_a_picture_is_decoded_once_for_all_its_patches_until_it_changes(tmp_path, monkeypatch):
    decodes = []

    def slowly(data, **options):
        decodes.append(1)
        time.sleep(0.05)
        return decode_image(data, **options)

    monkeypatch.setattr(windows, "decode_image", slowly)
    path = saved(tmp_path / "a.png", Image.fromarray(RGB_HWC))
    threads = [threading.Thread(target=open_image, args=(path, MANY)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(decodes) == 1
    saved(path, Image.fromarray(255 - RGB_HWC))
    os.utime(path, ns=(0, 12345))
    np.testing.assert_array_equal(whole(open_image(path, MANY)), 255 - RGB_HWC)


def test_threads_read_the_same_windows(written):
    image = open_image(written["RGB in deflated tiles"], MANY)
    wrong = []

    def read(seed):
        rng = np.random.default_rng(seed)
        for _ in range(50):
            y, x = int(rng.integers(HEIGHT - 20)), int(rng.integers(WIDTH - 20))
            if (image.read(y, x, 20, 20) != RGB_HWC[y : y + 20, x : x + 20]).any():
                wrong.append((y, x))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


LARGE = """
import sys
from pathlib import Path
from unchoke.images.windows import image_size, open_image, read_patch
path = Path(sys.argv[1])
assert image_size(path) == (20_000, 20_000)
image = open_image(path, 1_000_000)
marked = image.read(10_239, 10_239, 2, 2)
assert marked[1, 1].tolist() == [9, 8, 7] and not marked[0].any() and not marked[:, 0].any()
for x0 in range(0, 20_000, 192):
    read_patch(image, 19_900, x0, 256)
print(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line).split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_twenty_thousand_pixels_a_side_are_read_in_little_memory(tmp_path):
    side, tile = 20_000, 512
    black, marked = (zlib.compress(np.full((tile, tile, 3), colour, np.uint8).tobytes()) for colour in (0, (9, 8, 7)))
    across = -(-side // tile)
    tiles = [black] * across**2
    tiles[20 * across + 20] = marked
    options = {"shape": (side, side, 3), "dtype": np.uint8, "photometric": "rgb", "compression": "adobe_deflate"}
    tifffile.imwrite(tmp_path / "a.tif", iter(tiles), tile=(tile, tile), **options)
    command = [sys.executable, "-c", LARGE, str(tmp_path / "a.tif")]
    peak_kb = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert peak_kb < 200 * 1024


# --- what is broken


@pytest.mark.parametrize("opened", [open_image, open_mask, lambda path, _: image_size(path)])
@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("gone.png", None, "no such file"),
        ("empty.tif", b"", "empty file"),
        ("text.png", b"This is text.\n", "not an image"),
        ("head.tif", b"II*\0", "broken image"),
        ("end.tif", b"II*\0\x08\0\0\0\0\0\0\0\0\0", "broken image"),
    ],
)
def test_a_file_at_fault_gives_a_reason_that_names_no_folder(tmp_path, opened, name, data, reason):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UnreadableImageError, match=reason) as caught:
        opened(tmp_path / name, MANY)
    assert tmp_path.name not in str(caught.value)


def test_a_machine_at_fault_does_not_brand_the_image(monkeypatch, tmp_path):
    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(OSError, match="Input/output error"):
        open_image(tmp_path / "a.png", MANY)


@pytest.mark.parametrize("name", ["RGB in deflated tiles", "RGB in LZW tiles", "RGB at one piece", "RGB in strips"])
def test_a_tiff_that_is_cut_short_says_so(tmp_path, written, name):
    values, options, _ = TIFFS[name]
    path = write_tiff(tmp_path / "a.tif", values, options)
    os.truncate(path, path.stat().st_size * 2 // 3)
    with pytest.raises(UnreadableImageError, match=r"broken image: ."):
        whole(open_image(path, MANY))


@given(
    st.sampled_from(["RGB in deflated tiles", "RGB in LZW tiles", "16-bit grey in tiles", "float grey in tiles"]),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=4),
)
def test_damage_gives_pixels_or_a_reason_and_nothing_else(tmp_path_factory, written, name, changes):
    data = bytearray(written[name].read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path_factory.mktemp("damaged") / "a.tif"
    path.write_bytes(bytes(data))
    for opened in (open_image, open_mask):
        try:
            image = opened(path, 10**6)
            assert image.read(0, 0, 1, 1).shape[:2] == (1, 1)
        except UnreadableImageError as error:
            assert str(error)


# --- sizes


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_the_size_is_that_of_the_upright_picture(tmp_path, ending, orientation):
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(RGB_HWC), exif=exif(orientation))
    width, height = ImageOps.exif_transpose(Image.open(path)).size
    assert image_size(path) == (height, width)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_the_size_needs_no_pixels(tmp_path, ending):
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(RGB_HWC))
    os.truncate(path, 700)
    assert image_size(path) == (HEIGHT, WIDTH)
    with pytest.raises(UnreadableImageError):
        open_image(path, MANY)


def test_a_png_that_is_turned_behind_its_pixels_is_known_to_be(tmp_path):
    data = saved(tmp_path / "a.png", Image.fromarray(RGB_HWC)).read_bytes()
    end = data.index(b"IEND") - 4
    (tmp_path / "a.png").write_bytes(data[:end] + block(b"eXIf", exif(6).tobytes()[6:]) + data[end:])
    image = open_image(tmp_path / "a.png", MANY)
    assert image_size(tmp_path / "a.png") == (image.height, image.width) == (WIDTH, HEIGHT)


# --- masks


def palette_image():
    image = Image.fromarray(GREY_HW, "P")
    image.putpalette(RNG.integers(0, 256, 768, np.uint8).tobytes())
    return image


MASKS = {
    "grey": (Image.fromarray(GREY_HW), GREY_HW),
    "grey and alpha": (Image.fromarray(RGBA_HWC[..., :2], "LA"), RGBA_HWC[..., 0]),
    "1 bit": (Image.fromarray(GREY_HW > 99), GREY_HW > 99),
    "palette": (palette_image(), GREY_HW),
    "16-bit grey": (Image.fromarray(DEEP_HW), DEEP_HW),
    "RGB": (Image.fromarray(RGB_HWC), packed(RGB_HWC)),
    "RGBA": (Image.fromarray(RGBA_HWC), packed(RGBA_HWC)),
}


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("name", MASKS)
def test_a_mask_is_read_in_the_numbers_of_its_file(tmp_path, name, ending):
    image, expected_HW = MASKS[name]
    mask = open_mask(saved(tmp_path / f"a.{ending}", image), MANY)
    values_HW = whole(mask)
    assert values_HW.dtype.kind in "biu"
    np.testing.assert_array_equal(values_HW, expected_HW)
    np.testing.assert_array_equal(mask.read(3, 4, 5, 6), expected_HW[3:8, 4:10])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_of_few_bits_is_not_stretched(tmp_path, bits):
    (tmp_path / "a.png").write_bytes(png_of_bits(bits, GREY_HW % 2**bits))
    np.testing.assert_array_equal(whole(open_mask(tmp_path / "a.png", MANY)), GREY_HW % 2**bits)


MASK_TIFFS = {
    "grey in tiles": (GREY_HW, {**TILED, "compression": "deflate"}, GREY_HW),
    "16-bit grey in tiles": (DEEP_HW, {**TILED, "compression": "lzw"}, DEEP_HW),
    "32-bit grey in strips": (DEEP_HW.astype(np.int32) - 9, {"rowsperstrip": 9}, DEEP_HW.astype(np.int32) - 9),
    "1 bit in tiles": (GREY_HW > 99, {**TILED, "photometric": "minisblack"}, GREY_HW > 99),
    "1 bit, shown the other way round": (GREY_HW > 99, {**TILED, "photometric": "miniswhite"}, GREY_HW > 99),
    "palette in tiles": (*PALETTE_TIFF, GREY_HW),
    "RGBA in tiles": (RGBA_HWC, {**COLOUR, **TILED, "extrasamples": ["unassalpha"]}, packed(RGBA_HWC)),
}


@pytest.mark.parametrize("name", MASK_TIFFS)
def test_a_mask_in_tiff_is_read_in_windows_whatever_its_size(tmp_path, name):
    values, options, expected_HW = MASK_TIFFS[name]
    mask = open_mask(write_tiff(tmp_path / "a.tif", values, options), 2000)  # px: more than a tile, less than the mask
    np.testing.assert_array_equal(whole(mask), expected_HW)
    np.testing.assert_array_equal(mask.read(30, 40, 9, 11), expected_HW[30:39, 40:51])


def test_colours_are_packed_as_they_are_written_in_hexadecimal(tmp_path):
    mask = open_mask(saved(tmp_path / "a.png", Image.new("RGB", (1, 1), "#0a0b0c")), MANY)
    assert mask.read(0, 0, 1, 1).tolist() == [[0x0A0B0C]]
    assert mask.read(0, 0, 1, 1).dtype == np.int32


@pytest.mark.parametrize("name", ["grey", "palette", "1 bit", "16-bit grey", "RGB"])
def test_a_mask_is_turned_where_it_says_so(tmp_path, name):
    image, expected_HW = MASKS[name]
    mask = open_mask(saved(tmp_path / "a.png", image, exif=exif(6)), MANY)
    np.testing.assert_array_equal(whole(mask), np.rot90(expected_HW, -1))


@pytest.mark.parametrize("image", [Image.fromarray(SHARE_HW), Image.fromarray(RGBA_HWC, "CMYK")], ids=["F", "CMYK"])
def test_masks_without_whole_numbers_are_refused(tmp_path, image):
    with pytest.raises(UnreadableImageError, match=r"a mask in .*, where whole numbers or RGB"):
        open_mask(saved(tmp_path / "a.tif", image), MANY)


# --- patches


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    sides = [(1, 1), (1, 9), (9, 1), (5, 7), (40, 33)]
    return {(h, w): saved(folder / f"{h}-{w}.png", Image.fromarray(RGB_HWC[:h, :w])) for h, w in sides}


@given(st.integers(1, 12), st.integers(-60, 60), st.integers(0, 60))
def test_reflection_takes_the_pixels_that_numpy_takes(length, start, count):
    before, behind = max(0, -start), max(0, start + count - length)
    padded = np.pad(np.arange(length), (before, behind), mode="reflect")
    assert reflected(start, start + count, length).tolist() == padded[start + before :][:count].tolist()


@given(st.data())
def test_a_patch_is_reflected_as_numpy_pads(pictures, data):
    height, width = data.draw(st.sampled_from(sorted(pictures)))
    y0, x0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    size = data.draw(st.integers(1, 50))
    padded = np.pad(RGB_HWC[:height, :width], ((0, 100), (0, 100), (0, 0)), mode="reflect")
    patch_SSC = read_patch(open_image(pictures[height, width], MANY), y0, x0, size)
    np.testing.assert_array_equal(patch_SSC, padded[y0 : y0 + size, x0 : x0 + size])


def test_a_patch_reads_no_more_than_it_shows():
    reads = []

    def samples(*window):
        reads.append(window)
        return np.zeros((window[2], window[3], 3), np.uint8)

    image = windows.Windows(1000, 500, samples, lambda window: window)
    read_patch(image, 192, 192, 256)
    read_patch(image, 900, 400, 256)
    assert reads == [(192, 192, 256, 256), (843, 343, 157, 157)]


# --- labels

CLASSES = {"background": [0], "leaf": [7, 0xFF0000], "stem": [3]}


@given(st.lists(st.sampled_from([0, 7, 0xFF0000, 3, 99]), min_size=1, max_size=60), st.booleans())
def test_a_label_is_the_place_of_the_class(values, as_row):
    expected = [{0: 0, 7: 1, 0xFF0000: 1, 3: 2, 99: IGNORED}[value] for value in values]
    values_HW = np.array(values, np.int32).reshape((1, -1) if as_row else (-1, 1))
    labels_HW = labels_of(values_HW, CLASSES, ignore=99)
    assert labels_HW.dtype == np.uint8
    assert labels_HW.shape == values_HW.shape
    assert labels_HW.ravel().tolist() == expected


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int32, np.int64])
def test_labels_are_found_in_numbers_of_any_width(dtype):
    values_HW = np.eye(4).astype(dtype)
    np.testing.assert_array_equal(labels_of(values_HW, {"no": [0], "yes": [1, 255]}, None), np.eye(4))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([5, 5, 9, 0], "mask has the value 5 in 2 pixels, which no class has"),
        ([0, -4, 7], "mask has the value -4 in 1 pixel, which no class has"),
        ([0xFF0001, 99], "mask has the value 99 in 1 pixel, which no class has"),
    ],
)
def test_the_most_common_value_without_a_class_is_named(values, reason):
    with pytest.raises(UnreadableImageError) as caught:
        labels_of(np.array([values]), CLASSES, None)
    assert str(caught.value) == reason


def test_labels_outside_of_the_image_are_ignored(tmp_path):
    values_HW = GREY_HW % 2
    mask = open_mask(saved(tmp_path / "a.png", Image.fromarray(values_HW)), MANY)
    classes = {"even": [0], "odd": [1]}
    inside_SS = read_labels(mask, 10, 20, 32, classes, None)
    np.testing.assert_array_equal(inside_SS, values_HW[10:42, 20:52])
    labels_SS = read_labels(mask, 50, 70, 32, classes, 1)
    np.testing.assert_array_equal(labels_SS[:25, :20], np.where(values_HW[50:, 70:] == 1, IGNORED, 0))
    assert (labels_SS[25:] == IGNORED).all()
    assert (labels_SS[:, 20:] == IGNORED).all()
    assert labels_SS.shape == (32, 32)
