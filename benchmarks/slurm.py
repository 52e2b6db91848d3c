"""What does a cluster cost beyond the computing?

Peer:   the same run on this machine without a cluster.
Limit:  512 chunks in groups of 64 at most 1.5 × the local run, plus the cluster's own queueing; the same bytes.

The cluster is a real Slurm of this machine alone (tests/workflow/slurm_sandbox.py), with one card that is none, so that
both sides have the same processors. Both find weights and memory plan made. Its own queueing is the time, between the
first submission and the seal, in which none of the run's jobs ran: Slurm had not started one yet, or Snakemake had not
looked at the queue since one ended. Starts of Snakemake and torch in each submission are ours.
"""

import argparse
import itertools
import sys
import time
from datetime import datetime
from pathlib import Path

from clones import EVERYTHING, REPOSITORY, Clone, temporary_clone, temporary_folder
from common import Limit, benchmark_parser, encoder_flags, report, skip_without
from workflow_overhead import CHUNK_SIZE, MICRO_BATCH, repeated_set

sys.path.insert(0, str(REPOSITORY / "tests" / "workflow"))
from slurm_sandbox import Slurm, missing, slurm_sandbox

MOST = 1.5
PROFILE = (
    *("--workflow-profile", "workflow/profiles/slurm", "--resources", "gpu=1", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "1", "--cores", "all"),
)


def configure(clone: Clone, args: argparse.Namespace, name: str, images: Path) -> None:
    settings = {"image_size": args.image_size, "pools": ["avg"], "micro_batch": MICRO_BATCH}
    encoder = {"model": args.model, "weights": "untrained", **settings}
    clone.configure(
        name,
        dataset={"path": str(images)},
        encoders={"encoder": encoder},
        heads={},
        cleaning=None,
        chunk_size=CHUNK_SIZE,
        gpu={"device": "cpu"},
    )


def extract(clone: Clone, name: str, *arguments: str, **environment: str) -> float:
    """Seconds until all chunks are made and sealed; weights and memory plan are made before."""
    clone.snakemake(name, f"results/{name}/plans/encoder.json", *EVERYTHING)
    clone.stop_worker()
    started = time.perf_counter()
    clone.snakemake(name, f"results/{name}/features/encoder.sealed.json", *arguments, **environment)
    return time.perf_counter() - started


def queueing_s(slurm: Slurm, sealed: datetime) -> float:
    """Seconds between the first submission and the seal in which no job ran."""
    jobs = [slurm.describe(job) for job in slurm.jobs("COMPLETED")]
    moments = [[datetime.fromisoformat(job[f"{key}Time"]) for key in ("Submit", "Start", "End")] for job in jobs]
    spans = sorted((start, end) for _, start, end in moments)
    ends = itertools.accumulate((end for _, end in spans), max)
    starts = [*(start for start, _ in spans[1:]), sealed]
    gaps = [(start - end).total_seconds() for start, end in zip(starts, ends, strict=True)]
    first = (spans[0][0] - min(submit for submit, _, _ in moments)).total_seconds()
    return first + sum(gap for gap in gaps if gap > 0)


def compare(args: argparse.Namespace, clone: Clone, folder: Path) -> int:
    images = repeated_set(args.data, folder / "images", args.chunks * CHUNK_SIZE)
    for name in ("local", "cluster"):
        configure(clone, args, name, images)
    local_s = extract(clone, "local", *EVERYTHING)
    with slurm_sandbox(folder / "slurm") as slurm:
        groups = ("--group-components", f"features={args.group}")
        cluster_s = extract(clone, "cluster", *PROFILE, *groups, **slurm.environment)
        files = [clone.results(name) / "features/encoder.sealed.json" for name in ("local", "cluster")]
        sealed = datetime.fromtimestamp(files[1].stat().st_mtime)
        submissions, waited_s = len(slurm.jobs("COMPLETED")), queueing_s(slurm, sealed)
    seals = [file.read_bytes() for file in files]
    limit_s = MOST * local_s + waited_s
    table = [
        ["", "seconds"],
        [f"local, {args.chunks} chunks", f"{local_s:.1f}"],
        [f"Slurm, {submissions} submissions of {args.group}", f"{cluster_s:.1f}"],
        ["of which queueing", f"{waited_s:.0f}"],
        ["Slurm less queueing, over local", f"{(cluster_s - waited_s) / local_s:.2f} ×"],
    ]
    limits = [
        Limit("chunks through Slurm", f"{cluster_s:.1f} s", f"{limit_s:.1f} s", cluster_s <= limit_s),
        Limit("seals", "the same" if seals[0] == seals[1] else "different", "the same", seals[0] == seals[1]),
    ]
    figures = {"local_s": local_s, "cluster_s": cluster_s, "queueing_s": waited_s, "submissions": submissions}
    return report(args, table, limits, figures)


def main() -> int:
    parser = benchmark_parser(__doc__)
    encoder_flags(parser)
    parser.add_argument("--chunks", type=int, default=512, help="chunks of 64 photographs")
    parser.add_argument("--group", type=int, default=64, help="chunks a submission")
    args = parser.parse_args()
    skip_without(args.data)
    if reason := missing():
        print(f"skipped: {reason}")
        return 0
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        return compare(args, clone, folder)


if __name__ == "__main__":
    sys.exit(main())
