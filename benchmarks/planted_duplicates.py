"""Which planted copies are found, beside CleanVision and imagededup?

Peers:  CleanVision (Imagelab: exact_duplicates, near_duplicates, its defaults); imagededup (PHash, distance of at most
        3 bits, where ours takes 4; its CNN needs weights from elsewhere and is left out).
Limit:  exact copies with precision and recall 1.0, and no file that cannot be read among anybody's copies. Near copies
        are shown beside the peers' without a limit.

Two sets, planted by tests/unchoke/helpers/planted.py: drawn pictures of 128 to 256 px, and as many photographs of
--data. Each has copies of every kind: the same bytes; encoded again without loss (PNG, BMP, TIFF); under another label;
in another split; JPEG of quality 90, 75 and 50; one value off by one; moved by a pixel; a tenth brighter and darker.
And each has what must not be taken for copies: truncated and empty files, the same bytes in another shape, blank
pictures of different colours. Photographs that look alike without being copies count against precision.

Figures are of pairs. Recall is shown for each kind of copy: the share of its pairs with the original that are found, as
exact or as near copies. Ours are the pairs within a cluster, CleanVision's those within a set; imagededup gives pairs,
and those at distance 0 stand for its exact ones. Precision is shown without the pairs of blank pictures as well, since
n with the same hash make about n² / 2 pairs.

CleanVision by itself overlooks BMP, so it gets a list of the files; where it stops at a file that it cannot read, that
is said, and it gets the others alone, whose time counts. Each side runs in processes of its own, with as many as it
starts by itself; seconds and resident memory (summed over its processes, sampled every 0.05 s) hold Python's start and
imports. Ours are the commands that the workflow calls, without Snakemake.

The peers are not among the packages that Unchoke needs:  pip install 'unchoke[bench]'
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from clones import REPOSITORY, temporary_folder
from common import Limit, benchmark_parser, report
from copy_finders import OURS, SIDES
from numpy.typing import NDArray
from PIL import Image, ImageOps
from process_tree import Taken, watch

from unchoke.files import json_bytes
from unchoke.machine.receipts import read_json

sys.path.append(str(REPOSITORY / "tests" / "unchoke" / "helpers"))
from planted import (
    CORRUPT,
    EXACT,
    NEAR,
    ORIGINAL,
    Pairs,
    PlantedFile,
    draw_pictures,
    exact_clusters,
    near_clusters,
    pairs_within,
    plant,
)

LEAST_PX, MOST_PX = 128, 256  # a side of the drawn pictures; photographs are made smaller than the most


@dataclass(frozen=True)
class Result:
    """What one side made of one set."""

    side: str
    taken: Taken
    exact: Pairs
    near: Pairs
    note: str


def measure(side: str, root: Path, scratch: Path) -> Result:
    """A side in a process of its own."""
    scratch.mkdir()
    command = [sys.executable, __file__, "--side", side, "--root", str(root), "--scratch", str(scratch)]
    with (scratch / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        taken = watch(process)
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{(scratch / 'log').read_text(errors='replace')[-3000:]}") from error
    found = read_json(scratch / "found.json")
    exact, near = ({(one, other) for one, other in found[part]} for part in ("exact", "near"))
    taken = taken._replace(wall_s=taken.wall_s - found.get("lost_s", 0.0))
    return Result(side, taken, exact, near, found["note"])


@dataclass(frozen=True)
class Truth:
    """What was planted, as pairs of paths."""

    exact: Pairs
    near: Pairs
    by_planting: dict[str, Pairs]
    """Copies of each kind with their originals."""
    corrupt: set[str]
    blank: set[str]
    """Pictures of one colour."""


def truth_of(files: list[PlantedFile]) -> Truth:
    exact, near = (
        pairs_within([[file.path for file in cluster] for cluster in clusters])
        for clusters in (exact_clusters(files), near_clusters(files))
    )
    originals = {file.picture: file.path for file in files if file.planting == ORIGINAL}
    by_planting = {
        planting: pairs_within([file.path, originals[file.picture]] for file in files if file.planting == planting)
        for planting in (*EXACT, *NEAR)
    }
    corrupt, blank = ({file.path for file in files if file.planting in kinds} for kinds in (CORRUPT, ("blank",)))
    return Truth(exact, near, by_planting, corrupt, blank)


def share(part: Pairs, whole: Pairs) -> float:
    """Of `whole`, 0 to 1; 1 where there is nothing."""
    return len(part & whole) / len(whole) if whole else 1.0


def rows_of(results: list[Result], truth: Truth) -> list[list[str]]:
    """Of the table: a column for each side."""
    rows = []
    for name, found, planted in (("exact", "exact", truth.exact), ("exact or near", "near", truth.near)):
        pairs = [getattr(result, found) for result in results]
        rows.append([f"  {name}: precision", *(f"{share(planted, part):.3f}" for part in pairs)])
        rows.append([f"  {name}: recall", *(f"{share(part, planted):.3f}" for part in pairs)])
    seen = [{pair for pair in result.near if not truth.blank.issuperset(pair)} for result in results]
    rows.append(
        ["    without pairs of blank pictures: precision", *(f"{share(truth.near, part):.3f}" for part in seen)]
    )
    for planting, planted in truth.by_planting.items():
        name = f"    {planting}, {len(planted)} pairs: recall"
        rows.append([name, *(f"{share(result.near, planted):.3f}" for result in results)])
    rows.append([f"  what becomes of {len(truth.corrupt)} corrupt files", *(result.note for result in results)])
    rows.append(["  of them among copies", *(str(len(corrupt_among(result, truth))) for result in results)])
    rows.append(["  seconds", *(f"{result.taken.wall_s:.2f}" for result in results)])
    rows.append(["  peak MB", *(f"{result.taken.peak_mb:.0f}" for result in results)])
    return rows


def figures_of(result: Result, truth: Truth) -> dict[str, Any]:
    """What ``--json`` keeps of a side."""
    return {
        **result.taken._asdict(),
        "exact": {"precision": share(truth.exact, result.exact), "recall": share(result.exact, truth.exact)},
        "near": {"precision": share(truth.near, result.near), "recall": share(result.near, truth.near)},
        "recall": {planting: share(result.near, planted) for planting, planted in truth.by_planting.items()},
        "corrupt_among_copies": len(corrupt_among(result, truth)),
        "corrupt": result.note,
    }


def corrupt_among(result: Result, truth: Truth) -> set[str]:
    """Files that cannot be read and stand in a pair all the same."""
    return truth.corrupt & {path for pair in result.exact | result.near for path in pair}


def limits_of(name: str, ours: Result, truth: Truth) -> list[Limit]:
    precision, recall = share(truth.exact, ours.exact), share(ours.exact, truth.exact)
    corrupt = len(corrupt_among(ours, truth))
    return [
        Limit(f"{name}, exact copies: precision", f"{precision:.4f}", "1.0", precision == 1),
        Limit(f"{name}, exact copies: recall", f"{recall:.4f}", "1.0", recall == 1),
        Limit(f"{name}, corrupt files among copies", str(corrupt), "none", corrupt == 0),
    ]


def photographs(data: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """The first photographs of each class in turn, at most MOST_PX a side; the same pixels only once."""
    folders = [sorted(folder.iterdir()) for folder in sorted(data.iterdir()) if folder.is_dir()]
    seen = set()
    for file in islice((file for files in zip(*folders, strict=False) for file in files), count):
        with Image.open(file) as image:
            picture = ImageOps.exif_transpose(image).convert("RGB")
        picture.thumbnail((MOST_PX, MOST_PX))
        if picture.tobytes() not in seen:
            seen.add(picture.tobytes())
            yield np.asarray(picture)


def compare(args: argparse.Namespace, folder: Path) -> int:
    sides = [side for side in SIDES if side == OURS or find_spec(side) is not None]
    for side in SIDES.keys() - sides:
        print(f"{side} is not there to compare with; install it with: pip install 'unchoke[bench]'")
    sets = {"drawn pictures": draw_pictures(args.pictures, LEAST_PX, MOST_PX)}
    if args.data.is_dir():
        sets["photographs"] = photographs(args.data, args.pictures)
    table, limits, figures = [["", *sides]], [], {}
    for name, pictures in sets.items():
        files = plant(folder / name / "images", pictures)
        truth = truth_of(files)
        results = [measure(side, folder / name / "images", folder / name / side) for side in sides]
        table += [[f"{name}: {len(files):,} files, {len(truth.exact)} exact pairs", *[""] * len(sides)]]
        table += rows_of(results, truth)
        limits += limits_of(name, results[0], truth)
        figures[name] = {result.side: figures_of(result, truth) for result in results}
    return report(args, table, limits, figures)


def find_here(side: str, root: Path, scratch: Path) -> int:
    """What ``measure`` starts."""
    paths = sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())
    (scratch / "found.json").write_bytes(json_bytes(SIDES[side](root, paths, scratch)))
    return 0


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--pictures", type=int, default=400, help="pictures of each set, before copies are planted")
    parser.add_argument("--side", choices=SIDES, help="find copies with this side alone, in this process")
    parser.add_argument("--root", type=Path, help="with --side: the planted files")
    parser.add_argument("--scratch", type=Path, help="with --side: an empty folder, for what it makes")
    args = parser.parse_args()
    if args.side:
        return find_here(args.side, args.root, args.scratch)
    with temporary_folder() as folder:
        return compare(args, folder)


if __name__ == "__main__":
    sys.exit(main())
