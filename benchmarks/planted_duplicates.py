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
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from clones import REPOSITORY, run_within, temporary_folder
from common import Limit, benchmark_parser, report
from numpy.typing import NDArray
from PIL import Image, ImageOps
from process_tree import Taken, watch

from unchoke.config.cleaning import Rules
from unchoke.files import json_bytes, read_json
from unchoke.store import tables

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
    linked_pairs,
    near_clusters,
    pairs_within,
    plant,
)

LEAST_PX, MOST_PX = 128, 256  # a side of the drawn pictures; photographs are made smaller than the most
RADIUS = Rules().model_dump()["near_duplicate"]["radius"]
CHUNK_SIZE, CHUNKS_PER_JOB, MAX_PIXELS, MEMORY_MB = 64, 16, 10**8, 1024
Found = dict[str, Any]
"""What a side found: exact and near, pairs of paths; note, what becomes of corrupt files; lost_s, seconds that do not
count, if there are any."""


def find_unchoke(root: Path, paths: list[str], scratch: Path) -> Found:
    """The commands that the workflow calls, each in a process of its own."""
    manifest, rows, store = scratch / "manifest.csv", scratch / "rows", scratch / "fingerprints.zarr"
    findings, rest = scratch / "findings.csv", {"cleaning": scratch / "c.csv", "summary": scratch / "c.json"}
    source = {"kind": "folder", "chunk_size": CHUNK_SIZE}
    run_command("build_manifest", **source, path=root, val=0.1, test=0.1, manifest=manifest, rows=rows)
    limits = {"max_pixels": MAX_PIXELS, "memory_mb": MEMORY_MB, "chunks_per_job": CHUNKS_PER_JOB}
    for chunk in range(-(-len(paths) // (CHUNK_SIZE * CHUNKS_PER_JOB))):
        files = tables.rows_files(rows, chunk, CHUNKS_PER_JOB)
        run_command("fingerprint_chunk", **source, **limits, rows=files, root=root, chunk=chunk, store=store)
    run_command("seal_features", store=store, manifest=manifest, rows=rows)
    rules = json.dumps(Rules().model_dump())
    whole = {"store": store, "manifest": manifest, "findings": findings, "memory_mb": MEMORY_MB}
    run_command("clean_images", **whole, **rest, rules=rules)
    frame = tables.read_table(findings, tables.FINDING_COLUMNS)
    known = tables.read_table(manifest, tables.MANIFEST_COLUMNS)["path"]
    copies = frame[frame["other"] >= 0]
    link = list(zip(copies["path"], known[copies["other"]], strict=True))
    exact = [pair for pair, rule in zip(link, copies["rule"], strict=True) if rule == "exact_duplicate"]
    said = f"{(frame['rule'] == 'unreadable').sum()} listed"
    return {"exact": sorted(linked_pairs(exact)), "near": sorted(linked_pairs(link)), "note": said}


def run_command(name: str, **flags: Any) -> None:
    """A command of the repository with its flags."""
    words = [word for flag, value in flags.items() for word in (f"--{flag.replace('_', '-')}", *words_of(value))]
    run_within([sys.executable, str(REPOSITORY / "scripts" / f"{name}.py"), *words], stdout=subprocess.DEVNULL)


def words_of(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, list) else [str(value)]


def find_cleanvision(root: Path, paths: list[str], scratch: Path) -> Found:
    """Its sets of exact and of near copies, the exact ones in both."""
    note, lost_s, started = "read past", 0.0, time.perf_counter()
    try:
        sets = cleanvision_sets(root, paths)
    except (OSError, SyntaxError) as error:
        print(error)
        paths = [path for path in paths if can_be_read(root / path)]
        note, lost_s = "stops the run", time.perf_counter() - started
        sets = cleanvision_sets(root, paths)
    exact, near = (pairs_within([[str(Path(file).relative_to(root)) for file in one] for one in part]) for part in sets)
    return {"exact": sorted(exact), "near": sorted(exact | near), "note": note, "lost_s": lost_s}


def cleanvision_sets(root: Path, paths: list[str]) -> list[list[list[str]]]:
    from cleanvision import Imagelab

    lab = Imagelab(filepaths=[str(root / path) for path in paths], verbose=False)
    kinds = ("exact_duplicates", "near_duplicates")
    lab.find_issues({kind: {} for kind in kinds}, verbose=False)
    return [lab.info[kind]["sets"] for kind in kinds]


def can_be_read(file: Path) -> bool:
    try:
        with Image.open(file) as image:
            image.load()
    except (OSError, SyntaxError):
        return False
    return True


def find_imagededup(root: Path, paths: list[str], scratch: Path) -> Found:
    """Pairs whose perceptual hashes are near."""
    from imagededup.methods import PHash

    hasher = PHash(verbose=False)
    hashes = hasher.encode_images(root, recursive=True)
    found = hasher.find_duplicates(encoding_map=hashes, max_distance_threshold=RADIUS, scores=True)
    pairs = {(*sorted((file, other)), distance) for file, others in found.items() for other, distance in others}
    exact, near = ({pair[:2] for pair in pairs if pair[2] <= most} for most in (0, RADIUS))
    return {"exact": sorted(exact), "near": sorted(near), "note": f"{len(paths) - len(hashes)} logged"}


SIDES: dict[str, Callable[[Path, list[str], Path], Found]] = {
    "unchoke": find_unchoke,
    "cleanvision": find_cleanvision,
    "imagededup": find_imagededup,
}
OURS = "unchoke"


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
