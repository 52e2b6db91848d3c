"""Which changes of a picture do the perceptual hashes see through, and at how many false pairs?

Limit:  at the default radius, all copies encoded as JPEG 50 or halved, nine of ten cropped by 2 %, and no false pair.

Peer:   pHash of imagehash (frequencies 0 to 7) at the same radii; it comes with:  pip install 'unchoke[bench]'

Every fifth photograph of --data is changed in one way, and its hash compared with that of the original. False pairs are
those among the originals. "turned" compares with the eight forms of the hash, which are derived from its bits.
"""

import argparse
import io
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from common import Limit, benchmark_parser, report, skip_without
from numpy.typing import NDArray
from PIL import Image

from unchoke.cleaning.measures import fingerprint_batch
from unchoke.cleaning.near_duplicates import turned_hashes
from unchoke.config.cleaning import Rules

Pixels = NDArray[np.uint8]
RADII = (2, 4, 6)
DEFAULT = Rules().model_dump()["near_duplicate"]["radius"]


def as_jpeg(rgb_HW3: Pixels) -> Pixels:
    data = io.BytesIO()
    Image.fromarray(rgb_HW3).save(data, "JPEG", quality=50)
    return np.asarray(Image.open(data))


def halved(rgb_HW3: Pixels) -> Pixels:
    height, width, _ = rgb_HW3.shape
    return np.asarray(Image.fromarray(rgb_HW3).resize((width // 2, height // 2), Image.Resampling.BICUBIC))


def cropped(rgb_HW3: Pixels) -> Pixels:
    top, left = (max(1, round(length * 0.01)) for length in rgb_HW3.shape[:2])
    return rgb_HW3[top:-top, left:-left]


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "JPEG 50": as_jpeg,
    "half the size": halved,
    "2 % cropped": cropped,
    "moved by a pixel": lambda rgb_HW3: np.pad(rgb_HW3, ((1, 0), (1, 0), (0, 0)), "edge")[:-1, :-1],
    "1.3 times as bright": lambda rgb_HW3: np.clip(np.round(rgb_HW3 * 1.3), 0, 255).astype(np.uint8),
    "turned by a degree": lambda rgb_HW3: np.asarray(Image.fromarray(rgb_HW3).rotate(1, Image.Resampling.BICUBIC)),
    "flipped": lambda rgb_HW3: rgb_HW3[:, ::-1],
    "turned by a quarter": lambda rgb_HW3: np.rot90(rgb_HW3),
}


def our_hash(rgb_HW3: Pixels) -> int:
    return int(fingerprint_batch(np.ascontiguousarray(rgb_HW3)[None])[0][0, 2])


def peer_hash(rgb_HW3: Pixels) -> int:
    import imagehash

    return int(str(imagehash.phash(Image.fromarray(np.ascontiguousarray(rgb_HW3)))), 16)


def distances(originals: list[Pixels], hasher: Callable[[Pixels], int], turned: bool) -> dict[str, NDArray[np.uint8]]:
    """Bits between original and copy by change, and between the originals (false pairs)."""
    hash_N = np.array([hasher(picture) for picture in originals], dtype=np.uint64)
    form_KN = turned_hashes(hash_N) if turned else hash_N[None]
    found: dict[str, NDArray[np.uint8]] = {}
    for name, change in CHANGES.items():
        copy_N = np.array([hasher(change(picture)) for picture in originals], dtype=np.uint64)
        found[name] = np.bitwise_count(form_KN ^ copy_N).min(0)
    every_NN = np.bitwise_count(form_KN[:, :, None] ^ hash_N).min(0)
    return {**found, "false pairs": every_NN[np.triu_indices(len(hash_N), 1)]}


def compare(args: argparse.Namespace) -> int:
    files = [file for file in sorted(args.data.rglob("*")) if file.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")]
    originals = [np.asarray(Image.open(file).convert("RGB")) for file in files[::5]]
    sides: dict[str, Any] = {"ours": (our_hash, False), "turned": (our_hash, True)}
    if find_spec("imagehash"):
        sides["pHash"] = (peer_hash, False)
    else:
        print("imagehash is not there to compare with; install it with: pip install 'unchoke[bench]'")
    found = {side: distances(originals, *settings) for side, settings in sides.items()}
    table = [[f"{len(originals)} photographs", *(f"{side}, {radius} bits" for side in sides for radius in RADII)]]
    for name in CHANGES:
        table.append([name, *(f"{(bits[name] <= radius).mean():.2f}" for bits in found.values() for radius in RADII)])
    false = [str((bits["false pairs"] <= radius).sum()) for bits in found.values() for radius in RADII]
    table.append([f"false pairs of {len(found['ours']['false pairs']):,}", *false])
    ours = {name: float((bits <= DEFAULT).mean()) for name, bits in found["ours"].items()}
    least = {"JPEG 50": 0.99, "half the size": 0.99, "2 % cropped": 0.9}
    limits = [
        Limit(f"recall, {name}", f"{ours[name]:.3f}", f"{most}", ours[name] >= most) for name, most in least.items()
    ]
    limits.append(Limit("share of false pairs", f"{ours['false pairs']:.6f}", "0.0001", ours["false pairs"] <= 1e-4))
    return report(args, table, limits, {"recall_at_default": ours})


def main() -> int:
    args = benchmark_parser(__doc__).parse_args()
    skip_without(args.data)
    return compare(args)


if __name__ == "__main__":
    sys.exit(main())
