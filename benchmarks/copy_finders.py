"""Sides of ``planted_duplicates``: Unchoke, CleanVision and imagededup, each a function that finds copies."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clones import REPOSITORY, run_within
from PIL import Image

from unchoke.config.cleaning import Rules
from unchoke.store import tables

sys.path.append(str(REPOSITORY / "tests" / "unchoke" / "helpers"))
from planted import linked_pairs, pairs_within

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
    run_command("build_manifest", **source, path=root, seed=0, val=0.1, test=0.1, manifest=manifest, rows=rows)
    limits = {"max_pixels": MAX_PIXELS, "memory_mb": MEMORY_MB, "chunks_per_job": CHUNKS_PER_JOB}
    for chunk in range(-(-len(paths) // (CHUNK_SIZE * CHUNKS_PER_JOB))):
        files = tables.rows_files(rows, chunk, CHUNKS_PER_JOB)
        run_command("fingerprint_chunk", **source, **limits, rows=files, root=root, chunk=chunk, store=store)
    run_command("seal_store", store=store, manifest=manifest, rows=rows)
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
