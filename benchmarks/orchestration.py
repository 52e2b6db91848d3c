"""What does Snakemake itself cost a chunk, and what does the client cost?

Peer:   none for Snakemake; for the client, `python -I -S -c pass`, which no Python program can undercut.
Limit:  25 ms a chunk at 4,096 chunks; 6 s for `snakemake -n` when all is done; 400 MB for the largest of Snakemake's
        processes; 25 ms for a call of scripts/warm.

The workflow is the real one, its warm worker too, but the commands that compute (extract_chunk and what comes after it)
only write the files that they are expected to, of a few bytes. One file of a few bytes is one chunk: nothing looks
inside. Weights and memory plan are made first, not timed. The time a chunk is the whole run's over the number of
chunks: it holds Snakemake's start, the manifest, the jobs, and the no-op commands behind them, each a process.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from clones import EVERYTHING, LIMIT_S, Clone, kill_session, temporary_clone, temporary_folder
from common import Limit, benchmark_parser, report

NAME = "many"
CLASSES = 2
ENCODER = {"model": "test_resnet", "weights": "untrained", "image_size": 32, "pools": ["avg"]}
OUTPUTS = {
    "extract_chunk": ["{store}/avg/c/{chunk}/0", "{store}/valid/c/{chunk}", "{stem}.chunks/{chunk}.json"],
    "seal_store": [
        "{store}/avg/zarr.json",
        "{store}/valid/zarr.json",
        "{store}/zarr.json",
        "{stem}.sealed.json",
        "{stem}.origin.json",
    ],
    "select_rows": ["{selection}", "{receipt}"],
    "count_classes": ["{classes}", "{receipt}"],
    "list_quarantine": ["{quarantine}", "{receipt}"],
    "check_quarantine": ["{summary}", "{receipt}"],
    "write_report": ["{page}", "{entry}", "{receipt}"],
    "summarise_rates": ["{table}", "{receipt}"],
    "build_database": ["{database}", "{receipt}"],
    "draw_leaderboard": ["{picture}", "{table}", "{receipt}"],
    "draw_embedding": ["{picture}", "{receipt}"],
    "draw_quarantine": ["{picture}", "{table}", "{receipt}"],
    "draw_durations": ["{picture}", "{table}", "{receipt}"],
}
NO_OP = '''"""Write the files that the command of this name is expected to write, and nothing in them."""

import sys
from pathlib import Path


def main(argv=None):
    words = sys.argv[1:] if argv is None else argv
    given = {{flag[2:]: words[place + 1] for place, flag in enumerate(words) if flag.startswith("--")}}
    given["stem"] = given.get("store", "").removesuffix(".zarr")
    for name in {outputs}:
        path = Path(name.format(**given))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'{{"files": {{}}}}')


if __name__ == "__main__":
    main()
'''


class Cost(NamedTuple):
    """What one run of Snakemake cost."""

    wall_s: float
    peak_mb: float
    """Resident memory of the largest of it and its jobs' processes, MB of 2**20 bytes; the warm worker is not one."""


def make_images(root: Path, n_images: int) -> None:
    for number in range(n_images):
        file = root / f"class_{number % CLASSES}" / f"{number:06}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"image")


def replace_commands(clone: Clone) -> None:
    """No-ops in the place of the commands in OUTPUTS."""
    for command, outputs in OUTPUTS.items():
        (clone.folder / "scripts" / f"{command}.py").write_text(NO_OP.format(outputs=outputs))


def measure_run(clone: Clone, *arguments: str) -> Cost:
    """A run that must end well; killed at its limit of time."""
    started = time.perf_counter()
    process = clone.start(NAME, *arguments)
    try:
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            if time.perf_counter() - started > LIMIT_S:
                raise TimeoutError(f"snakemake {' '.join(arguments)} took more than {LIMIT_S:.0f} s")
            time.sleep(0.01)
    except BaseException:
        kill_session(process)
        raise
    _, status, usage = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"snakemake ended with {process.returncode}\n{clone.said(NAME)}")
    return Cost(time.perf_counter() - started, usage.ru_maxrss / 1024)


def measure_client(clone: Clone, calls: int) -> dict[str, list[float]]:
    """Seconds of calls of a command that does nothing, and of a Python that does nothing, in turn."""
    (clone.folder / "scripts" / "do_nothing.py").write_text("def main(argv=None):\n    pass\n")
    commands = {
        "scripts/warm": [str(clone.folder / "scripts" / "warm"), "do_nothing"],
        "python -I -S -c pass": [sys.executable, "-I", "-S", "-c", "pass"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    run = partial(subprocess.run, check=True, cwd=clone.folder, env=clone.environment(), timeout=60)
    run(commands["scripts/warm"])  # starts the worker
    for _ in range(calls):
        for name, command in commands.items():
            started = time.perf_counter()
            run(command)
            times[name].append(time.perf_counter() - started)
    return times


def jobs_done(clone: Clone) -> int:
    """How many chunks have all their files."""
    features = clone.results(NAME) / "features"
    patterns = ("encoder.zarr/avg/c/*/0", "encoder.zarr/valid/c/*", "encoder.chunks/*.json")
    return min(sum(1 for _ in features.glob(pattern)) for pattern in patterns)


def row(name: str, values: Sequence[float], form: Callable[[float], str]) -> list[str]:
    return [name, form(statistics.median(values)), form(min(values)), form(max(values))]


def compare(args: argparse.Namespace, clone: Clone, folder: Path) -> int:
    make_images(folder / "images", args.chunks)
    dataset = {"path": str(folder / "images")}
    clone.configure(NAME, dataset=dataset, encoders={"encoder": ENCODER}, heads={}, cleaning=None, chunk_size=1)
    clone.snakemake(NAME, f"results/{NAME}/plans/encoder.json", *EVERYTHING)
    replace_commands(clone)
    whole = measure_run(clone, *EVERYTHING)
    idle = [measure_run(clone, "-n", *EVERYTHING) for _ in range(args.rounds)]
    calls = measure_client(clone, args.calls)
    done, chunk_ms = jobs_done(clone), whole.wall_s / args.chunks * 1e3
    peak_mb, idle_s = max(cost.peak_mb for cost in [whole, *idle]), statistics.median(cost.wall_s for cost in idle)
    client_ms = statistics.median(calls["scripts/warm"]) * 1e3
    seconds, milliseconds = "{:.2f} s".format, lambda s: f"{s * 1e3:.1f} ms"
    table = [
        ["", "median", "least", "most"],
        row(f"{args.chunks:,} chunks", [whole.wall_s], seconds),
        row("one of them", [whole.wall_s / args.chunks], milliseconds),
        row("nothing to do", [cost.wall_s for cost in idle], seconds),
        row("peak, the run", [whole.peak_mb], "{:.0f} MB".format),
        row("peak, nothing to do", [cost.peak_mb for cost in idle], "{:.0f} MB".format),
        *(row(name, times, milliseconds) for name, times in calls.items()),
    ]
    limits = [
        Limit("chunks done", f"{done:,}", f"all {args.chunks:,}", done == args.chunks),
        Limit("a chunk", f"{chunk_ms:.1f} ms", "25 ms", chunk_ms <= 25),
        Limit("nothing to do", f"{idle_s:.2f} s", "6 s", idle_s <= 6),
        Limit("peak of Snakemake", f"{peak_mb:.0f} MB", "400 MB", peak_mb <= 400),
        Limit("a call of scripts/warm", f"{client_ms:.1f} ms", "25 ms", client_ms <= 25),
    ]
    return report(args, table, limits, {"run": whole._asdict(), "idle": [c._asdict() for c in idle], "calls_s": calls})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--chunks", type=int, default=4096, help="chunks of one image each")
    parser.add_argument("--rounds", type=int, default=3, help="runs with nothing to do")
    parser.add_argument("--calls", type=int, default=50, help="calls of the client, and of the bare Python")
    args = parser.parse_args()
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        return compare(args, clone, folder)


if __name__ == "__main__":
    sys.exit(main())
