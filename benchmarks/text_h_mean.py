"""How long does H-mean of found words take over 500 images?

Peer:   a plain double loop over words and detections that cuts every pair by Shapely, as ICDAR 2015's script does.
Limit:  the same counts in every image, and 1 s of processor for 500 images.

Ground truth of ICDAR 2015 and one detector's result lie beside the repository or in --archives; where they do not, 500
images with turned words, of which some are ignored, missed or invented. Beside them two drawn images of 300 words each.
One core. Files are read before the clock runs.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np
from common import TIMING_HEADER, Limit, benchmark_parser, median_processor, report, time_in_turn, timing_cells
from numpy.typing import NDArray
from shapely import Polygon

from unchoke.metrics.h_mean import counts_of, ratios
from unchoke.metrics.word_matches import Words, matches_of, overlaps_of

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "unchoke" / "helpers"))
from known_words import folder, known_images  # the tests' reader of both archives

IMAGES, WORDS = 500, 12
CROWD = 300
"""Words of an image with many, as of a page."""
Image = tuple[Words, list[NDArray[np.float64]]]


def drawn_images(count: int, n_words: int) -> list[Image]:
    """Words of images, and detections: three words in four, moved a little, and false ones."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(count):
        outlines = [turned(rng) for _ in range(n_words)]
        found = [outline + rng.normal(0, 2, outline.shape) for outline in outlines if rng.random() < 0.75]
        false = [turned(rng) for _ in range(rng.integers(0, 3))]
        images.append((Words(outlines, rng.random(n_words) < 0.3), found + false))
    return images


def turned(rng: np.random.Generator) -> NDArray[np.float64]:
    """Corners (4, 2) of a word in an image of 1280 × 720 px."""
    width, height = rng.uniform(30, 150), rng.uniform(12, 40)
    corners = np.array([0, width, width + 1j * height, 1j * height]) * np.exp(1j * rng.normal(0, 0.2))
    corners += rng.uniform(0, 1130) + 1j * rng.uniform(0, 680)
    return np.stack([corners.real, corners.imag], 1)


def ours(images: list[Image]) -> list[tuple[int, int, int]]:
    """Matched pairs, counted detections and counted words of each image."""
    overlaps = (overlaps_of(words, found) for words, found in images)
    return [tuple(counts_of(each, matches_of(each, "icdar2015"))[0].tolist()) for each in overlaps]


def plain(images: list[Image]) -> list[tuple[int, int, int]]:
    return [plain_counts(words, found) for words, found in images]


def plain_counts(words: Words, found: list[NDArray[np.float64]]) -> tuple[int, int, int]:
    """As ``ours`` of one image: every pair is cut, and what can match is decided afterwards."""
    truth, detections = [Polygon(corners) for corners in words.polygons], [Polygon(corners) for corners in found]
    ignored = [shape for shape, flag in zip(truth, words.ignored, strict=True) if flag]
    counted = [not any(shape.intersection(other).area > 0.5 * shape.area for other in ignored) for shape in detections]
    iou_WD = [[one.intersection(other).area / one.union(other).area for other in detections] for one in truth]
    taken: set[int] = set()
    for row, flag in zip(iou_WD, words.ignored, strict=True):
        free = (place for place, iou in enumerate(row) if iou > 0.5 and counted[place] and place not in taken)
        if not flag and (first := next(free, None)) is not None:
            taken.add(first)
    return len(taken), sum(counted), len(truth) - len(ignored)


def compare(args: argparse.Namespace) -> int:
    known = args.archives is not None and args.archives.is_dir()
    sets = {
        "500 images": known_images(args.archives) if known else drawn_images(IMAGES, WORDS),
        "crowded": drawn_images(2, CROWD),
    }
    sides = {
        f"{name}, {side.__name__}": partial(side, images) for name, images in sets.items() for side in (ours, plain)
    }
    answers = {name: side() for name, side in sides.items()}
    times = time_in_turn(sides, args.rounds)
    table = [["ICDAR 2015" if known else "drawn words", *TIMING_HEADER, "precision", "recall", "H-mean"]]
    for name, answer in answers.items():
        table.append([name, *timing_cells(times[name]), *(f"{ratio:.7f}" for ratio in ratios(np.sum(answer, 0)))])
    pairs = [(answers[f"{name}, ours"], answers[f"{name}, plain"]) for name in sets]
    same = sum(one == other for pair in pairs for one, other in zip(*pair, strict=True))
    total = sum(map(len, sets.values()))
    seconds = median_processor(times["500 images, ours"])
    limits = [
        Limit("images with the same counts", f"{same}", f"{total}", same == total),
        Limit("seconds of processor for 500 images", f"{seconds:.2f}", "1.00", seconds <= 1),
    ]
    return report(
        args, table, limits, {"times": times, "counts": {n: np.sum(a, 0).tolist() for n, a in answers.items()}}
    )


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="times that each side is measured")
    parser.add_argument("--archives", type=Path, default=folder(), help="folder of gt_IC15.zip and result.zip")
    return compare(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
