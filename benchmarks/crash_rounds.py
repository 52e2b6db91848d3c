"""Does a run that was killed anywhere end in the same bytes as one that was not?

Peer:   an undisturbed run of the same images and config, in a clone of its own.
Limit:  no file of the promised stores may differ, in --rounds kills that came before the run had ended.

A round: a fresh clone of 12 chunks, a tiny encoder and two heads; at a moment drawn from --seed, SIGKILL for the client
that is at work, the warm worker, or Snakemake with its whole process group, in turn; then
`snakemake` to the end; then the SHA-256 of every file of manifest, rows, features, seals, quarantine, heads and
checkpoints. The moment is drawn over the time in which that victim was seen alive in the undisturbed run; where it does
not live just then, the next one of its kind is killed. A kill that came too late is no round, and is drawn again.
"""

import argparse
import hashlib
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from clones import EVERYTHING, Clone, kill_session, temporary_clone, temporary_folder, wait_within
from common import Limit, benchmark_parser, report

from unchoke.sources.kinds.digits import digit_files

NAME = "few"
VICTIMS = ("client", "worker", "snakemake")
CLASSES = "37"  # with the demo's broken files
CHUNKS, CHUNK_SIZE = 12, 16
LIMIT_S = 300.0  # of one run of Snakemake
CONFIG = {
    "chunk_size": CHUNK_SIZE,
    "encoders": {
        "tiny": {"model": "test_resnet", "weights": "untrained", "image_size": 32, "pools": ["avg", "max"]},
    },
    "heads": {
        "logistic": {"kind": "logistic", "c": [0.01, 1.0]},
        "neighbours": {"kind": "knn", "pool": "max", "k": [1, 3]},
    },
}
PROMISED = (
    "manifest.*",
    "rows/*",
    "fingerprints.zarr/**/*",
    "fingerprints.sealed.json",
    "findings.csv",
    "cleaning.*",
    "selection.csv",
    "features/*.zarr/**/*",
    "features/*.sealed.json",
    "quarantine.*",
    "heads/**/*",
    "checkpoints/**/*",
)

Window = tuple[float, float]
"""Seconds after the start within which a victim lives."""


def write_images(folder: Path) -> None:
    """Digits of two classes, as many of each, the broken files among them."""
    files = digit_files()
    for label in CLASSES:
        names = sorted((name for name in files if name.startswith(label)), reverse=True)
        for name in islice(names, CHUNKS * CHUNK_SIZE // len(CLASSES)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(files[name])


def configure(clone: Clone, images: Path) -> None:
    clone.configure(NAME, dataset={"path": str(images), "max_bad_share": 0.2}, **CONFIG)


def digests(clone: Clone) -> dict[str, str]:
    """SHA-256 of every file whose bytes are promised."""
    results = clone.results(NAME)
    files = {file for pattern in PROMISED for file in results.glob(pattern) if file.is_file()}
    return {str(file.relative_to(results)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Files that differ, each with how."""
    kinds = {"missing": expected.keys() - found.keys(), "not in the undisturbed run": found.keys() - expected.keys()}
    kinds["changed"] = {name for name in found.keys() & expected.keys() if found[name] != expected[name]}
    return sorted(f"{name}: {kind}" for kind, names in kinds.items() for name in names)


def processes_of(clone: Clone) -> Iterator[tuple[str, int]]:
    """The victims of this clone that live: its clients at work and its worker, each with its process id."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (victim := victim_at(folder, clone)):
            yield victim, int(folder.name)


def victim_at(process: Path, clone: Clone) -> str | None:
    """Which victim of the clone a folder of /proc is, if it is one."""
    try:
        words = (process / "cmdline").read_text(errors="replace").split("\0")[:-1]
        if "unchoke.machine.worker" in words and words[-1].startswith(f"{clone.folder}/"):
            return "worker"
        if "scripts/warm" in words[:-1] and not words[words.index("scripts/warm") + 1].startswith("--"):
            return "client" if (process / "cwd").readlink() == clone.folder else None
    except OSError:  # it has ended
        pass
    return None


def undisturbed_run(clone: Clone) -> dict[str, Window]:
    """A run to the end; when each victim was first and last seen alive."""
    started = time.perf_counter()
    process = clone.start(NAME, *EVERYTHING)
    seen: dict[str, list[float]] = {victim: [] for victim in VICTIMS}
    try:
        while process.poll() is None and (now := time.perf_counter() - started) < LIMIT_S:
            for victim in ("snakemake", *(name for name, _ in processes_of(clone))):
                seen[victim].append(now)
            time.sleep(0.02)
        finish(clone, wait_within(process, LIMIT_S))
    finally:
        kill_session(process)
    return {victim: (times[0], times[-1]) for victim, times in seen.items()}


def finish(clone: Clone, status: int) -> None:
    if status:
        raise RuntimeError(f"snakemake ended with {status}\n{clone.said(NAME)}")


@dataclass(frozen=True)
class Kill:
    """One victim, killed, or not met before the run had ended."""

    victim: str
    moment_s: float
    hit: bool
    broke: bool
    """Whether the run ended badly for it; a worker between two commands is replaced without harm."""


def disturbed_run(clone: Clone, victim: str, moment_s: float) -> Kill:
    """A run of which `victim` is killed at the moment, or as soon after it as it lives."""
    process = clone.start(NAME, *EVERYTHING)
    hit = False
    try:
        end = time.perf_counter() + moment_s
        while process.poll() is None and time.perf_counter() < end:
            time.sleep(min(0.01, max(0.0, end - time.perf_counter())))
        while process.poll() is None and not hit:
            hit = strike(clone, victim, process.pid)
            time.sleep(0 if hit else 0.002)
        status = wait_within(process, LIMIT_S)
    finally:
        kill_session(process)
    return Kill(victim, moment_s, hit, status != 0)


def strike(clone: Clone, victim: str, snakemake: int) -> bool:
    """SIGKILL for the victim; whether it was there."""
    if victim == "snakemake":
        os.killpg(snakemake, signal.SIGKILL)
        return True
    pid = next((pid for name, pid in processes_of(clone) if name == victim), 0)
    try:
        if pid:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return pid != 0


@dataclass
class Tally:
    """What the rounds came to."""

    kills: list[Kill] = field(default_factory=list)
    too_late: int = 0
    wrong: list[tuple[Kill, list[str]]] = field(default_factory=list)
    """Kills after which files differed, or the next run failed."""
    resumed_s: list[float] = field(default_factory=list)

    def row(self, victim: str) -> list[str]:
        kills = [kill for kill in self.kills if kill.victim == victim]
        times = [seconds for kill, seconds in zip(self.kills, self.resumed_s, strict=True) if kill.victim == victim]
        wrong = [kill for kill, _ in self.wrong if kill.victim == victim]
        broke = sum(kill.broke for kill in kills)
        resumed = f"{statistics.median(times):.1f}" if times else ""
        return [victim, str(len(kills)), str(broke), resumed, str(len(wrong))]


def resume(clone: Clone, expected: dict[str, str]) -> list[str]:
    """What is wrong after the next run: nothing, files that differ, or that it failed."""
    if status := wait_within(clone.start(NAME, *EVERYTHING), LIMIT_S):
        return [f"snakemake {' '.join(EVERYTHING)} ended with {status}: {clone.said(NAME)}"]
    return differences(digests(clone), expected)


def crash(
    folder: Path, images: Path, windows: dict[str, Window], expected: dict[str, str], rounds: int, seed: int
) -> Tally:
    """Rounds until there are enough, or three times as many attempts have been made."""
    tally, generator = Tally(), random.Random(seed)
    for attempt in range(3 * rounds):
        if len(tally.kills) == rounds:
            break
        victim = VICTIMS[len(tally.kills) % len(VICTIMS)]
        with temporary_clone(folder / f"round-{attempt}") as clone:
            configure(clone, images)
            kill = disturbed_run(clone, victim, generator.uniform(*windows[victim]))
            if not kill.hit:
                tally.too_late += 1
                continue
            started = time.perf_counter()
            wrong = resume(clone, expected)
        note(tally, kill, time.perf_counter() - started, wrong)
    return tally


def note(tally: Tally, kill: Kill, seconds: float, wrong: list[str]) -> None:
    """Into the tally; what is wrong is told at once, and how far the rounds are."""
    tally.kills.append(kill)
    tally.resumed_s.append(seconds)
    if wrong:
        tally.wrong.append((kill, wrong))
        print(
            f"round {len(tally.kills)}: {kill.victim} killed at {kill.moment_s:.3f} s", *wrong, sep="\n  ", flush=True
        )
    elif len(tally.kills) % 10 == 0:
        print(f"{len(tally.kills)} rounds, {len(tally.wrong)} mismatches", flush=True)


def compare(args: argparse.Namespace, folder: Path) -> int:
    images = folder / "images"
    write_images(images)
    with temporary_clone(folder / "undisturbed") as clone:
        configure(clone, images)
        windows, expected = undisturbed_run(clone), digests(clone)
    tally = crash(folder, images, windows, expected, args.rounds, args.seed)
    hits, wrong = len(tally.kills), len(tally.wrong)
    print(f"{hits} rounds of {CHUNKS} chunks, {tally.too_late} kills too late, {len(expected)} files compared")
    table = [["killed", "rounds", "broke the run", "next run s", "mismatches"], *(tally.row(v) for v in VICTIMS)]
    limits = [
        Limit("kills before the end", str(hits), str(args.rounds), hits == args.rounds),
        Limit("mismatches", str(wrong), "0", wrong == 0),
    ]
    figures = {"windows": windows, "kills": [vars(k) for k in tally.kills], "resumed_s": tally.resumed_s}
    return report(args, table, limits, figures | {"wrong": [(vars(k), files) for k, files in tally.wrong]})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="kills that must come before the run has ended")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    args = parser.parse_args()
    with temporary_folder() as folder:
        return compare(args, folder.resolve())


if __name__ == "__main__":
    sys.exit(main())
