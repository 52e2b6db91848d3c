"""How long after `snakemake` does the first job run, with 70,000 image files?

Peer:   none; the limit is what a user is ready to wait before something moves.
Limit:  under 5 s to the first job.

The files are small PNG pictures, every one different, in a folder a class; what the file system knows of them is in
memory, since they were just written. The default targets are asked for. A job starts when Snakemake prints its name;
the run is ended when the first job that reads images has started, which needs the manifest and a plan of all chunks.
"""

import argparse
import io
import statistics
import subprocess
import sys
import time
from pathlib import Path

from clones import EVERYTHING, Clone, kill_session, temporary_clone, temporary_folder
from common import Limit, benchmark_parser, report
from PIL import Image

CLASSES = 10
ENCODER = {"model": "test_resnet", "weights": "untrained", "image_size": 32, "pools": ["avg"]}
JOB = ("rule ", "checkpoint ", "localrule ", "localcheckpoint ")
READERS = ("fingerprint_chunk", "extract_chunk")


def make_files(root: Path, n_files: int) -> None:
    """Pictures of 2 × 2 px, whose values are their numbers."""
    for number in range(CLASSES):
        (root / f"class_{number}").mkdir(parents=True)
    for number in range(n_files):
        data = io.BytesIO()
        pixels = number.to_bytes(4, "big") * 3
        Image.frombytes("RGB", (2, 2), pixels).save(data, "PNG", compress_level=0)
        (root / f"class_{number % CLASSES}" / f"{number:06}.png").write_bytes(data.getvalue())


def seconds_to_jobs(clone: Clone, name: str) -> dict[str, float]:
    """Seconds from `snakemake` to the first job of each rule, in their order, up to the first that reads images."""
    quiet = ("--quiet", "host", "--configfile", f"{name}.yaml")
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *EVERYTHING, *quiet],
        cwd=clone.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clone.environment(),
        start_new_session=True,
        text=True,
    )
    assert process.stdout is not None
    jobs: dict[str, float] = {}
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith(JOB):
                jobs.setdefault(line.split()[1].rstrip(":"), time.perf_counter() - started)
            if any(reader in jobs for reader in READERS):
                return jobs
    finally:
        kill_session(process)
    raise RuntimeError(f"snakemake ended before a job read images\n{''.join(said[-30:])}")


def compare(args: argparse.Namespace, clone: Clone, folder: Path) -> int:
    make_files(folder / "images", args.files)
    rounds = []
    for number in range(args.rounds):
        name = f"start-{number}"
        dataset = {"path": str(folder / "images")}
        clone.configure(name, dataset=dataset, encoders={"encoder": ENCODER}, heads={})
        rounds.append(seconds_to_jobs(clone, name))
    first = statistics.median(min(jobs.values()) for jobs in rounds)
    table = [["first job of the rule", "median s", "least s", "most s"]]
    for rule in sorted(set.intersection(*map(set, rounds)), key=rounds[0].__getitem__):
        seconds = [jobs[rule] for jobs in rounds]
        table.append([rule, *(f"{value:.2f}" for value in (statistics.median(seconds), min(seconds), max(seconds)))])
    print(f"{args.files:,} files in {CLASSES} folders, median of {args.rounds}")
    limits = [Limit("to the first job", f"{first:.2f} s", "under 5 s", first < 5)]
    return report(args, table, limits, {"files": args.files, "seconds": rounds})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--files", type=int, default=70_000, help="image files")
    parser.add_argument("--rounds", type=int, default=3, help="times that the workflow is started")
    args = parser.parse_args()
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        return compare(args, clone, folder)


if __name__ == "__main__":
    sys.exit(main())
