"""Pure: the sizes in the headers of encoded pictures, and their bytes without metadata; nothing is decoded.

Decoders allocate memory by these sizes, some of them before the size can be checked.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator

Size = tuple[int, int]
"""Width and height, px."""

RGB_BYTES = 4
"""Of a pixel in RGB, as Pillow holds it."""

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"}
_PNG_TEXT = {b"tEXt", b"zTXt", b"iTXt"}
_TURNING_TEXTS = {b"Raw profile type exif", b"XML:com.adobe.xmp"}  # they may hold an orientation
_MOST_TEXT = 2**20  # bytes of an unpacked text
_MOST_TEXTS = 8
_APP0, _APP1, _APP14, _APP15, _COMMENT = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_JFIF_BYTES, _ADOBE_BYTES = 14, 12  # libjpeg ignores shorter segments of these kinds
_TURNING_SEGMENTS = _EXIF, _XMP = (b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0")
_ONE_SCAN = {0xC0, 0xC1, 0xC3, 0xC9, 0xCB}  # frames that need only one scan, if it has all components
_SCAN = b"\xff\xda"
_LITTLE = 2**23
_WEBP_BYTES = 17  # two canvases, a copy, Pillow's own picture, and a plane of alpha
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, ITU-T T.81 table B.1
_COMMON_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended and progressive, Huffman-coded


def size_of(data: bytes) -> Size | None:
    """The size that the header of a GIF, WebP, JPEG or JPEG 2000 gives, of a GIF with its first frame.

    None where it is none of these, or its header is broken.
    """
    try:
        if data.startswith(b"GIF8"):
            return _gif_size(data)
        if is_webp(data):
            return _webp_size(data)
        return _jpeg_size(data) if data.startswith(_JPEG) else _jpeg2000_size(data)
    except (IndexError, struct.error):
        return None


def most_bytes(max_pixels: int) -> int:
    """The most memory for a decoder: a picture of ``decoding.max_pixels`` in RGB, plus 8 MB."""
    return RGB_BYTES * max_pixels + _LITTLE


def decoder_bytes(data: bytes) -> tuple[str, float]:
    """Name of a kind whose decoder takes more memory for a pixel than Pillow's RGB, and the bytes for a pixel.

    An empty name and `RGB_BYTES` of all others, and where the header is broken.
    """
    if is_webp(data):
        return "WebP", _WEBP_BYTES
    try:
        taken = _jpeg_bytes(data) if data.startswith(_JPEG) else 0
    except (IndexError, struct.error, ZeroDivisionError):
        taken = 0
    return ("progressive JPEG", taken) if taken > RGB_BYTES else ("", RGB_BYTES)


def _jpeg_bytes(data: bytes) -> float:
    """Bytes for a pixel of a JPEG; with several scans libjpeg also keeps all coefficients, 2 bytes each."""
    segments = list(_segments(data))
    frame, kind = next(((start, marker) for start, _, marker in segments if marker in _FRAME_HEADERS), (0, 0))
    components = data[frame + 9] if frame else 0
    scan = segments[-1][1] if segments else 0
    in_one_scan = kind in _ONE_SCAN and data[scan : scan + 2] == _SCAN and data[scan + 4] == components
    if not components or in_one_scan:
        return 0
    factors = [data[frame + 11 + 3 * number] for number in range(components)]
    across, down = [factor >> 4 for factor in factors], [factor & 15 for factor in factors]
    shares = sum(x * y for x, y in zip(across, down, strict=True)) / (max(across) * max(down))
    return (1 if components == 1 else RGB_BYTES) + 2 * shares


def _gif_size(data: bytes) -> Size:
    """The screen, or the first frame where that reaches beyond it; read as Pillow reads it."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    place = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while place < len(data) and data[place] != 0x3B:
        if data[place] == 0x2C:
            left, top, across, down = struct.unpack_from("<HHHH", data, place + 1)
            return max(width, left + across), max(height, top + down)
        place = _behind_extension(data, place) if data[place] == 0x21 else place + 1
    return width, height


def _behind_extension(data: bytes, place: int) -> int:
    is_comment = data[place + 1] == 0xFE
    place += 2
    if not is_comment:
        place += 1 + data[place]  # of which Pillow does not mind that it is empty
    while data[place]:
        place += 1 + data[place]
    return place + 1


def _webp_size(data: bytes) -> Size | None:
    """Of the canvas; RFC 9649."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def is_webp(data: bytes) -> bool:
    """Whether data begin as a WebP does."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def webp_metadata(data: bytes) -> dict[str, bytes]:
    """The blocks of a WebP that may turn it, ``exif`` and ``xmp`` as Pillow calls them; RFC 9649, 2.7."""
    found: dict[str, bytes] = {}
    place = 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        if name := {b"EXIF": "exif", b"XMP ": "xmp"}.get(kind):
            found.setdefault(name, data[place + 8 : place + 8 + length])
        place += 8 + length + length % 2
    return found


def _jpeg_size(data: bytes) -> Size | None:
    for start, _, marker in _segments(data):
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", data, start + 5)
            return width, height
    return None


def common_jpeg_size(data: bytes) -> Size | None:
    """The size of a JPEG of 8 bits and 1 or 3 components, coded by Huffman; None of all others and broken headers."""
    if not data.startswith(_JPEG):
        return None
    frames = [(start, marker) for start, _, marker in _segments(data) if marker in _FRAME_HEADERS]
    try:
        ((start, marker),) = frames
        bits, height, width, components = struct.unpack_from(">BHHB", data, start + 4)
    except (ValueError, struct.error):
        return None
    common = marker in _COMMON_FRAMES and bits == 8 and components in (1, 3)
    return (width, height) if common and width and height else None


def jpeg_metadata(data: bytes) -> dict[str, bytes]:
    """The segments of a JPEG that may turn it, ``exif`` and ``xmp`` as Pillow calls and joins them."""
    found: dict[str, bytes] = {}
    for start, stop, marker in _segments(data):
        if marker != _APP1:
            continue
        if data.startswith(_EXIF, start + 4):
            found["exif"] = found.get("exif", _EXIF) + data[start + 4 + len(_EXIF) : stop]
        elif data.startswith(_XMP, start + 4):
            found["xmp"] = data[start + 4 + len(_XMP) : stop]
    return found


def _jpeg2000_size(data: bytes) -> Size | None:
    """Of the reference grid, ISO/IEC 15444-1 A.5.1; its codestream may stand in boxes."""
    place = data.find(b"\xff\x4f\xff\x51")
    if place < 0:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", data, place + 8)
    return max(0, right - left), max(0, bottom - top)


def pixels_alone(data: bytes) -> bytes:
    """A PNG or JPEG without the blocks that its pixels and its orientation do not depend on; other data as it is.

    A colour profile or a text may be broken, or too large for a decoder, while the pixels are sound.
    """
    if data.startswith(_PNG):
        return _kept(data, _png_parts(data))
    return _kept(data, _jpeg_parts(data)) if data.startswith(_JPEG) else data


def _kept(data: bytes, parts: Iterable[tuple[int, int, bool]]) -> bytes:
    """The parts (start, stop, whether to keep) that are kept, one after the other."""
    runs: list[tuple[int, int]] = []
    for start, stop, keep in parts:
        if keep and runs and runs[-1][1] == start:
            runs[-1] = runs[-1][0], stop
        elif keep:
            runs.append((start, stop))
    if runs == [(0, len(data))]:
        return data
    view = memoryview(data)
    return b"".join(view[start:stop] for start, stop in runs)


def _png_parts(data: bytes) -> Iterator[tuple[int, int, bool]]:
    yield 0, len(_PNG), True
    place, texts = len(_PNG), 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        stop = place + 12 + length
        if stop > len(data):
            break
        turns = kind in _PNG_TEXT and texts < _MOST_TEXTS and _may_turn(kind, data[place + 8 : stop - 4])
        texts += turns
        yield place, stop, turns or kind in _PNG_PIXELS
        place = stop
    yield place, len(data), True


def _may_turn(kind: bytes, block: bytes) -> bool:
    """Whether a text may hold an orientation and is not too large to look."""
    keyword, _, text = block.partition(b"\0")
    if keyword not in _TURNING_TEXTS:
        return False
    packed = text[1:] if kind == b"zTXt" else b""
    if kind == b"iTXt" and text[:1] != b"\0":
        packed = text[2:].split(b"\0", 2)[-1]
    try:
        return len(zlib.decompressobj().decompress(packed, _MOST_TEXT + 1) if packed else text) <= _MOST_TEXT
    except zlib.error:
        return False


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Start, stop and marker of each segment of a JPEG before its scans, as far as they are whole."""
    place = len(_JPEG)
    while place + 4 <= len(data) and data[place] == 0xFF and (marker := data[place + 1]) != 0xDA:
        stop = place + 2
        if marker == 0xFF:  # a fill byte
            stop = place + 1
        elif marker != 0x01 and not 0xD0 <= marker <= 0xD9:
            stop += int.from_bytes(data[place + 2 : place + 4])
        if stop > len(data):
            return
        yield place, stop, marker
        place = stop


def _jpeg_parts(data: bytes) -> Iterator[tuple[int, int, bool]]:
    yield 0, len(_JPEG), True
    behind = len(_JPEG)
    for start, stop, marker in _segments(data):
        yield start, stop, _is_needed(data, start, stop - start - 4, marker)
        behind = stop
    yield behind, len(data), True


def _is_needed(data: bytes, start: int, length: int, marker: int) -> bool:
    """Whether the pixels of a JPEG, its colours or its orientation depend on a segment of `length` bytes."""
    if marker == _APP1:
        return data.startswith(_TURNING_SEGMENTS, start + 4)
    if marker in (_APP0, _APP14):
        return length >= (_JFIF_BYTES if marker == _APP0 else _ADOBE_BYTES)
    return marker != _COMMENT and not _APP0 <= marker <= _APP15
