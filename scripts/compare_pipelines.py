"""Measure input pipelines side by side on a sample of the images, and recommend settings."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.limits import planned_batch
from unchoke.pipelines import flags
from unchoke.pipelines.compare import compare_pipelines
from unchoke.pipelines.compare_network import compare_network
from unchoke.pipelines.recommend import recommendation
from unchoke.pipelines.table import csv_bytes


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    flags.add_flags(parser)
    parser.add_argument("--images", type=int, default=1000, help="images of the sample, at most")
    parser.add_argument("--minutes", type=float, default=5, help="time for all rounds; fewer images where it is short")
    parser.add_argument("--rounds", type=int, default=3, help="how often each pipeline is measured")
    parser.add_argument("--table", type=Path, required=True, help="CSV to write, a row a pipeline")
    parser.add_argument("--picture", type=Path, required=True, help="PNG to write")
    args = parser.parse_args(argv)
    work = flags.work_of(args, planned_batch(args.plan))
    table, judge = flags.table_of(args), flags.judge_of(args, work)
    with flags.ended_by_signals():
        asked = args.images, args.rounds, 60 * args.minutes, args.vram_mb
        rows = compare_pipelines(work, table, *asked, judge=judge)
        trained = compare_network(flags.network_work_of(args, work), table, *asked) if args.network else []
    from unchoke.report.pipelines import draw_pipelines, table_text  # draws: not needed by the processes of rounds
    from unchoke.report.style import png_bytes

    text = recommendation(rows, work.threads, args.rounds, args.encoder, len(table))
    text += flags.network_text(args, trained, table)
    rows += trained
    write_atomic(args.picture, png_bytes(draw_pipelines(rows, text)))
    write_atomic(args.table, csv_bytes(rows))
    print(f"\n{table_text(rows)}\n\nRecommendation, to paste into the config:\n\n{text}")


if __name__ == "__main__":
    sys.exit(run(main))
