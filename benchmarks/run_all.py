"""Run every benchmark in turn, each in a process of its own; the status is 1 where one failed or missed its limit.

Those that take longest come last. The figures go to benchmarks/out/<name>.json as well, which git ignores.
"""

import subprocess
import sys
from pathlib import Path

from common import benchmark_parser

HERE = Path(__file__).resolve().parent
BENCHMARKS = (
    "manifest_rate",
    "grouped_splits",
    "interval_coverage",
    "text_h_mean",
    "text_maps",
    "many_heads",
    "split_repeats",
    "extract_rate",
    "encoders",
    "decoders",
    "pixel_input",
    "recommendation",
    "fine_tuning",
    "logistic_speed",
    "head_ablation",
    "logistic_path",
    "ridge_speed",
    "heads_at_scale",
    "stitch_masks",
    "stitch_many",
    "demo_masks",
    "text_words",
    "text_fit",
    "near_duplicates",
    "near_recall",
    "planted_duplicates",
    "label_errors",
    "diverse_subset",
    "near_in_features",
    "workflow_start",
    "mask_dice",
    "mask_heads",
    "orchestration",
    "cleaning_at_scale",
    "scale",
    "slurm",
    "workflow_overhead",
    "crash_rounds",
)


def run_benchmark(name: str, data: Path) -> bool:
    """Whether the benchmark ended well; what it prints goes straight through."""
    print(f"\n== {name}", flush=True)
    flags = ["--data", str(data), "--json", str(HERE / "out" / f"{name}.json")]
    return subprocess.run([sys.executable, str(HERE / f"{name}.py"), *flags], check=False).returncode == 0


def main() -> int:
    args = benchmark_parser(__doc__).parse_args()
    failed = [name for name in BENCHMARKS if not run_benchmark(name, args.data)]
    if failed:
        print(f"\nfailed, or limit missed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
