"""What a picture may take: no more than one allowed picture in RGB, whatever its file says of itself."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from unchoke.errors import UnreadableImageError
from unchoke.images import decode
from unchoke.images.codestreams import decoder_bytes
from unchoke.images.decode import NoRoomError, decode_image, decode_stored
from unchoke.images.given import read_picture
from unchoke.images.windows import open_image
from unchoke.report.thumbnails import thumbnails

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")

SIDE = 60_000
ONE, TWO = struct.pack("<I", 2**32 - 1), struct.pack("<II", SIDE, SIDE)


def packed(kind, image=None, **settings):
    data = io.BytesIO()
    (image or Image.new("RGB", (16, 16), "red")).save(data, kind, **settings)
    return data.getvalue()


def put(data, place, new):
    assert place > 0
    return data[:place] + new + data[place + len(new) :]


def gif(screen, frame):
    head = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6) + b"\x21\xf9\x04\x08\0\0\0\0"
    return head + b"\x2c" + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\x02\x02\x4c\x01\x00\x3b"


def jpeg(frame=b"\xff\xc0", **settings):
    data = packed("JPEG", **settings)
    return put(data, data.find(frame) + 5, struct.pack(">HH", SIDE, SIDE))


def mpo():
    data = packed("MPO", save_all=True, append_images=[Image.new("RGB", (16, 16))])
    return put(data, data.find(b"\xff\xc0") + 5, struct.pack(">HH", SIDE, SIDE))


def jpeg2000():
    data, sides = packed("JPEG2000"), struct.pack(">II", SIDE, SIDE)
    data = put(data, data.find(b"ihdr") + 4, sides)
    place = data.find(b"\xff\x51")
    return put(put(data, place + 6, sides), place + 22, sides)


def icns():
    entry = b"ic07" + struct.pack(">I", 8 + len(jpeg2000())) + jpeg2000()
    return b"icns" + struct.pack(">I", 8 + len(entry)) + entry


def png(width, height, depth=8, colour=2, *between):
    def chunk(kind, block):
        return struct.pack(">I", len(block)) + kind + block + struct.pack(">I", zlib.crc32(kind + block))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    blocks = [(b"IHDR", head), *between, (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*block) for block in blocks)


def frames(side):
    return (b"acTL", struct.pack(">II", 2, 0)), (b"fcTL", struct.pack(">IIIIIHHBB", 0, side, side, 0, 0, 1, 1, 1, 0))


def bmp(sides):
    return put(packed("BMP"), 18, sides)


def webp(*blocks):
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + (16_382).to_bytes(3, "little") * 2 + b"".join(blocks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(change, **settings):
    """One tile or strip of 64 px, with other values in some of its tags: names, and 4 bytes each."""
    whole = io.BytesIO()
    tifffile.imwrite(whole, np.zeros((64, 64, 3), np.uint8), photometric="rgb", **settings)
    data = whole.getvalue()
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for name, value in change.items():
            data = put(data, file.pages[0].tags[name].valueoffset, value)
        return data, file.pages[0].dataoffsets[0]


def in_tile(codec, inside):
    data, start = tiff({"TileByteCounts": struct.pack("<I", len(inside))}, tile=(64, 64), compression=codec)
    return data[:start] + inside


def in_strip(**change):
    return tiff(change, compression="deflate", rowsperstrip=64)[0]


ANIMATION = b"ANIM" + struct.pack("<IIH", 6, 0, 0) + b"ANMF" + struct.pack("<I", 16) + bytes(16)
BOMBS = {
    "GIF's screen": gif(SIDE, 1),
    "GIF's frame": gif(1, SIDE),
    "ICNS": icns(),
    "JPEG 2000": jpeg2000(),
    "JPEG": jpeg(),
    "progressive JPEG": jpeg(b"\xff\xc2", progressive=True),
    "MPO": mpo(),
    "PNG": png(SIDE, SIDE),
    "PNG of 16 bits": png(SIDE, SIDE, 16, 6),
    "long PNG": png(2**31 - 1, 1),
    "PNG without pixels": png(900, 900),
    "APNG": png(SIDE, SIDE, 8, 6, *frames(SIDE)),
    "APNG's frame": png(16, 16, 8, 6, *frames(SIDE)),
    "BMP": bmp(TWO),
    "BMP from the top": bmp(struct.pack("<ii", SIDE, -SIDE)),
    "BMP of 2^31": bmp(struct.pack("<iI", 2**31 - 1, 2**31)),
    "WebP": webp(),
    "WebP in frames": webp(ANIMATION),
    "TIFF with a JPEG": in_tile("jpeg", jpeg()),
    "TIFF with a JPEG 2000": in_tile("jpeg2000", jpeg2000()),
    "TIFF with a WebP": in_tile("webp", webp()),
    "TIFF": in_strip(ImageWidth=TWO[:4], ImageLength=TWO[:4]),
    "TIFF with a long strip": in_strip(RowsPerStrip=ONE, ImageLength=TWO[:4]),
    "TIFF with many bytes": in_strip(StripByteCounts=ONE),
    "TIFF with many samples": in_strip(SamplesPerPixel=struct.pack("<HH", SIDE, 0)),
}

COMMON = """
import resource, sys
from pathlib import Path
from unchoke.errors import UnreadableImageError
from unchoke.images.decode import decode_image, decode_stored
from unchoke.images.windows import image_size, open_image, open_mask
import unchoke.images.tiff_pictures
def status(name):
    return int(next(x for x in Path("/proc/self/status").read_text().splitlines() if name in x).split()[1]) * 1024
def taken(read, *arguments):
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = status("VmRSS")
    try:
        read(*arguments)
        said = ""
    except UnreadableImageError as error:
        said = str(error)
    return status("VmHWM") - before, said
"""
EACH = """
room = status("VmSize") + 300 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (room, room))
ways = [lambda file: decode_image(file.read_bytes(), max_pixels=10**6),
        lambda file: open_image(file, 10**6).read(0, 0, 1, 1), lambda file: open_mask(file, 10**6).read(0, 0, 1, 1)]
for file in sorted(Path(sys.argv[1]).iterdir()):
    for way in ways:
        took, said = taken(way, file)
        assert took < 16 * 2**20 and said and "memory" not in said, (file.name, took, said)
    took, said = taken(image_size, file)
    assert took < 2**20 and "memory" not in said, (file.name, took, said)
"""
LARGE = """
for file in sorted(Path(sys.argv[1]).iterdir()):
    took, said = taken(lambda: decode_stored(file.read_bytes(), max_pixels=2500**2).rows(0, 9))
    print(f"{file.name};{took};{said}")
"""


def in_a_process(code, files, folder):
    for name, data in files.items():
        (folder / name).write_bytes(data)
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed goes back to the system
    command = [sys.executable, "-c", COMMON + code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")  # decoders' warnings would fill the logs
    return done.stdout


def test_small_files_that_ask_for_gigabytes_are_refused_in_little_memory(tmp_path):
    in_a_process(EACH, BOMBS, tmp_path)


@pytest.mark.parametrize("name", ["GIF's screen", "JPEG", "PNG", "BMP", "WebP", "TIFF"])
def test_reports_and_the_library_refuse_what_extraction_refuses(tmp_path, name):
    (tmp_path / "a.png").write_bytes(BOMBS[name])
    assert "above decoding.max_pixels 1000000" in thumbnails("folder", tmp_path, ["a.png"], 96, 10**6)[0]
    with pytest.raises(UnreadableImageError, match=r"above decoding\.max_pixels 1000000"):
        read_picture(tmp_path / "a.png", max_pixels=10**6)


def large(kind, mode="RGB", **settings):
    image = Image.new(mode, (2500, 2500))
    if mode == "P":
        image.putpalette(bytes(range(256)) * 3)
    return packed(kind, image, **settings)


def large_tiff(dtype, samples):
    data = io.BytesIO()
    pixels = np.zeros((2500, 2500, samples), dtype)
    tifffile.imwrite(data, pixels, photometric="rgb", compression="zlib", rowsperstrip=2500)
    return data.getvalue()


def test_no_kind_takes_more_than_an_allowed_picture_in_rgb(tmp_path):
    read = {
        "JPEG": large("JPEG"),
        "CMYK JPEG": large("JPEG", "CMYK"),
        "grey JPEG": large("JPEG", "L", progressive=True),
        "PNG": large("PNG"),
        "PNG with alpha": large("PNG", "RGBA"),
        "grey PNG with alpha": large("PNG", "LA"),
        "16-bit PNG": large("PNG", "I;16"),
        "palette": large("PNG", "P"),
        "palette with alpha": large("PNG", "P", transparency=bytes(range(256))),
        "GIF": large("GIF", "P"),
    }
    refused = {
        "progressive JPEG": large("JPEG", progressive=True, subsampling=0),
        "WebP": large("WEBP", lossless=True, method=0),
        "one strip": large_tiff(np.uint16, 3),
    }
    found = in_a_process(LARGE, {**read, **refused}, tmp_path).splitlines()
    assert len(found) == len(read) + len(refused)
    for name, took, said in (line.split(";") for line in found):
        assert int(took) < 4 * 2500**2 + 16 * 2**20, name
        assert ("bytes a pixel to decode" in said or "tiles or strips of 2500" in said) == (name in refused), said


def sequential(scan):
    """The headers of a 4:2:0 JPEG of 8 px, whose first scan has so many of its three components."""
    frame = struct.pack(">HBHHB", 17, 8, 8, 8, 3) + b"\1\x22\0\2\x11\1\3\x11\1"
    return b"\xff\xd8\xff\xc0" + frame + b"\xff\xda" + struct.pack(">HB", 6 + 2 * scan, scan) + bytes(20)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (sequential(3), 4),
        (sequential(1), 4 + 2 * 1.5),
        (packed("JPEG", progressive=True, subsampling="4:2:0"), 4 + 2 * 1.5),
        (packed("JPEG", progressive=True, subsampling="4:2:2"), 4 + 2 * 2),
        (packed("JPEG", progressive=True, subsampling="4:4:4"), 4 + 2 * 3),
        (packed("JPEG", Image.new("CMYK", (8, 8)), progressive=True), 4 + 2 * 4),
        (packed("JPEG", Image.new("L", (8, 8)), progressive=True), 4),
        (packed("JPEG")[:4], 4),
        (packed("PNG"), 4),
    ],
)
def test_what_a_decoder_takes_is_known_from_the_header(data, expected):
    """libjpeg keeps the coefficients, 2 bytes each, of a picture in several scans."""
    assert decoder_bytes(data)[1] == expected


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "I;16"])
def test_rows_of_a_stored_picture_are_those_of_the_whole(mode, orientation):
    values = np.random.default_rng(0).integers(0, 256, (12, 17, 4), np.uint8)
    image = Image.fromarray(values).convert("RGB" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(values[..., :2].copy().view(np.uint16)[..., 0])
    block = Image.Exif()
    block[0x0112] = orientation
    data = packed("PNG", image, exif=block)
    stored, whole = decode_stored(data, max_pixels=10**6), np.asarray(decode_image(data, max_pixels=10**6))
    assert stored.size == whole.shape[1::-1]
    parts = [stored.rows(first, min(first + 5, len(whole))) for first in range(0, len(whole), 5)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("room", [True, False])
def test_a_machine_without_memory_brands_no_picture_that_may_be_decoded(tmp_path, monkeypatch, room):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "convert", fail)
    if not room:
        monkeypatch.setattr(decode.np, "empty", fail)
    (tmp_path / "a.png").write_bytes(packed("PNG", Image.new("L", (8, 8))))
    for read in (
        lambda: decode_image((tmp_path / "a.png").read_bytes(), max_pixels=64),
        lambda: open_image(tmp_path / "a.png", 64),
        lambda: read_picture(tmp_path / "a.png", max_pixels=64),
    ):
        with pytest.raises(UnreadableImageError if room else NoRoomError):
            read()
