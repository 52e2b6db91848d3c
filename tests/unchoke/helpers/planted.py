"""A folder of pictures with planted faults, for the tests and the benchmark of cleaning: what is wrong is known.

Every picture is planted in one way, in turn, so that each way occurs equally often. Names are drawn, so that a copy may
come before its original.
"""

import io
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.Image import Resampling

Pixels = NDArray[np.uint8]
Pairs = set[tuple[str, str]]
Encoded = tuple[str, bytes]
"""The ending of a file's name, and its bytes."""

SPLITS = ("train", "train", "train", "val", "test")
LABELS = ("ash", "beech", "cedar")
ORIGINAL = "original"
EXACT = ("copied", "lossless", "relabelled", "leaked")
"""Ways that keep every pixel."""
NEAR = ("jpeg 90", "jpeg 75", "jpeg 50", "one value off", "shifted", "brighter", "darker")
"""Ways that keep the look."""
CORRUPT = ("truncated", "empty")
"""Ways that leave no pixels."""
OTHER = ("reshaped", "blank")
"""Ways that make another picture: the same bytes in another shape, and one colour alone."""
PLANTINGS = ("lossless", *EXACT, *NEAR, *CORRUPT, *OTHER)

_WRITERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("png", {"compress_level": 9}),
    ("bmp", {}),
    ("png", {"compress_level": 0}),
    ("tiff", {}),
    ("tiff", {"compression": "tiff_lzw"}),
)
_GREEN = 1  # the channel in which one value is changed


class PlantedFile(NamedTuple):
    """One file of the set."""

    path: str
    """Below the root: ``<split>/<label>/<name>``."""
    picture: int
    """Which picture it was made from."""
    planting: str
    """How: ``ORIGINAL`` or one of ``PLANTINGS``."""

    @property
    def split(self) -> str:
        return self.path.split("/")[0]

    @property
    def label(self) -> str:
        return self.path.split("/")[1]

    @property
    def readable(self) -> bool:
        return self.planting not in CORRUPT

    @property
    def pixels(self) -> Hashable:
        """Equal for files with the same pixels, among those that can be read."""
        return self.picture, ORIGINAL if self.planting in EXACT else self.planting

    @property
    def look(self) -> Hashable:
        """Equal for files that look alike, among those that can be read."""
        return self.picture, ORIGINAL if self.planting in EXACT + NEAR else self.planting


def exact_clusters(files: Iterable[PlantedFile]) -> list[list[PlantedFile]]:
    """Files with the same pixels, where there are several."""
    return _clusters(files, lambda file: file.pixels)


def near_clusters(files: Iterable[PlantedFile]) -> list[list[PlantedFile]]:
    """Files that look alike, where there are several."""
    return _clusters(files, lambda file: file.look)


def _clusters(files: Iterable[PlantedFile], key: Callable[[PlantedFile], Hashable]) -> list[list[PlantedFile]]:
    together = defaultdict(list)
    for file in files:
        if file.readable:
            together[key(file)].append(file)
    return [cluster for cluster in together.values() if len(cluster) > 1]


def pairs_within(clusters: Iterable[Iterable[str]]) -> Pairs:
    """Every two members of a cluster, the smaller name first."""
    return {pair for cluster in clusters for pair in combinations(sorted(cluster), 2)}


def linked_pairs(links: Iterable[tuple[str, str]]) -> Pairs:
    """Every two names that `links` connect, directly or through others."""
    cluster_of: dict[str, set[str]] = {}
    for one, other in links:
        joined = cluster_of.get(one, {one}) | cluster_of.get(other, {other})
        cluster_of.update(dict.fromkeys(joined, joined))
    return pairs_within({id(cluster): cluster for cluster in cluster_of.values()}.values())


def draw_pictures(count: int, least_px: int, most_px: int, seed: int = 0) -> Iterator[Pixels]:
    """`count` pictures for ``plant``, uint8 (H, W, 3), with detail at every scale, as photographs have it.

    Sides are drawn from `least_px` to `most_px`.
    """
    rng = np.random.default_rng(seed)
    for _ in range(count):
        height, width = rng.integers(least_px, most_px, 2, endpoint=True)
        yield draw_picture(rng, int(height), int(width))


def draw_picture(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """A sum of noise of 3, 6, 12, … values a side, each half as strong as the one before it: uint8 (H, W, 3)."""
    picture_HW3 = np.zeros((height, width, 3))
    side, strength = 3, 0.5
    while side < min(height, width):
        noise = Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8))
        picture_HW3 += strength * np.asarray(noise.resize((width, height), Resampling.BICUBIC), np.float64)
        side, strength = side * 2, strength / 2
    return np.clip(picture_HW3, 0, 255).astype(np.uint8)


def plant(root: Path, pictures: Iterable[Pixels], seed: int = 0) -> list[PlantedFile]:
    """Write the pictures and what is planted of each below `root`; return the files in a drawn order.

    pictures: uint8 (H, W, 3), 18 px a side at least; a pixel at their border is left out of the originals.
    """
    rng = np.random.default_rng(seed)
    made = [file for number, canvas in enumerate(pictures) for file in _files_of(number, canvas)]
    names = rng.permutation(len(made))
    files = []
    for name, (folder, (ending, data), picture, planting) in zip(names, made, strict=True):
        path = f"{folder}/{name:06}.{ending}"
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        files.append(PlantedFile(path, picture, planting))
    return sorted(files)


def _files_of(number: int, canvas_HW3: Pixels) -> Iterator[tuple[str, Encoded, int, str]]:
    """Folder, content, number and planting of the original of a picture and of what is planted beside it."""
    planting, turn = PLANTINGS[number % len(PLANTINGS)], number // len(PLANTINGS)
    split, label = number % len(SPLITS), number % len(LABELS)
    canvas_HW3 = canvas_HW3[:, : (canvas_HW3.shape[1] - 1) // 2 * 2 + 1]  # the original's width is even
    original, rgb_HW3 = _original(turn, canvas_HW3[:-1, :-1])
    yield f"{SPLITS[split]}/{LABELS[label]}", original, number, ORIGINAL
    if planting == "leaked":
        split = {0: 3, 1: 4, 2: 3, 3: 4, 4: 0}[split]
    if planting == "relabelled":
        label = (label + 1) % len(LABELS)
    for copy in _copies(planting, turn, canvas_HW3, rgb_HW3, original):
        yield f"{SPLITS[split]}/{LABELS[label]}", copy, number, planting


def _original(turn: int, rgb_HW3: Pixels) -> tuple[Encoded, Pixels]:
    """The file of an original, every third one a JPEG, and the pixels that are read from it."""
    if turn % 3 < 2:
        return (("png", _encode("png", rgb_HW3)), ("bmp", _encode("bmp", rgb_HW3)))[turn % 3], rgb_HW3
    data = _encode("jpg", rgb_HW3, quality=95)
    return ("jpg", data), np.asarray(Image.open(io.BytesIO(data)))


def _copies(planting: str, turn: int, canvas_HW3: Pixels, rgb_HW3: Pixels, original: Encoded) -> list[Encoded]:
    """What is planted beside an original."""
    if planting == "copied":
        return [original]
    if planting == "empty":
        return [("png", b""), ("jpg", b"")]
    if planting == "truncated":
        data = _encode("jpg", rgb_HW3) if turn % 2 else _encode("png", rgb_HW3)
        return [("jpg" if turn % 2 else "png", data[: len(data) * 2 // 3])] * 2
    if planting.startswith("jpeg"):
        return [("jpg", _encode("jpg", rgb_HW3, quality=int(planting.split()[1])))]
    if planting in EXACT:
        return [_lossless(turn, rgb_HW3), _lossless(turn + 1, rgb_HW3)][: 2 if planting == "lossless" else 1]
    return [_lossless(0, _changed(planting, turn, canvas_HW3, rgb_HW3))]


def _changed(planting: str, turn: int, canvas_HW3: Pixels, rgb_HW3: Pixels) -> Pixels:
    """The pixels of a copy that has others than its original."""
    height, width, _ = rgb_HW3.shape
    if planting == "shifted":
        return canvas_HW3[1:, 1:]
    if planting == "reshaped":
        return rgb_HW3.reshape(2 * height, width // 2, 3)
    if planting == "blank":
        return np.full_like(rgb_HW3, (60 + turn % 128, 60 + turn // 128, 90))
    if planting == "one value off":
        changed_HW3 = rgb_HW3.copy()
        changed_HW3[height // 2, width // 2, _GREEN] ^= 1
        return changed_HW3
    factor = {"brighter": 1.1, "darker": 0.9}[planting]
    return np.clip(np.round(rgb_HW3 * factor), 0, 255).astype(np.uint8)


def _lossless(turn: int, rgb_HW3: Pixels) -> Encoded:
    ending, options = _WRITERS[turn % len(_WRITERS)]
    return ending, _encode(ending, rgb_HW3, **options)


def _encode(ending: str, rgb_HW3: Pixels, **options: Any) -> bytes:
    data = io.BytesIO()
    kind = {"jpg": "JPEG", "png": "PNG", "bmp": "BMP", "tiff": "TIFF"}[ending]
    Image.fromarray(np.ascontiguousarray(rgb_HW3)).save(data, kind, **options)
    return data.getvalue()
