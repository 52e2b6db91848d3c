"""Write experiments.db anew from the results of all mask heads, and print its leaderboard."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.experiments.leaderboard import leaderboard_text
from unchoke.experiments.mask_database import build_mask_database
from unchoke.experiments.readings import count_reading
from unchoke.machine.commands import argument_parser, run
from unchoke.metrics.evaluation import Bootstrap
from unchoke.metrics.iou import MEAN_IOUS


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the dataset's folder of results")
    parser.add_argument("--database", type=Path, required=True, help="SQLite file to write")
    parser.add_argument("--resamples", type=int, default=Bootstrap.resamples, help="bootstrap resamples")
    parser.add_argument("--seed", type=int, default=Bootstrap.seed, help="seed of the bootstrap")
    parser.add_argument("--metric", choices=MEAN_IOUS, default=MEAN_IOUS[0], help="figure that ranks and compares")
    args = parser.parse_args(argv)
    count_reading(args.results, "build_mask_database")  # the table of readings has it
    bootstrap = Bootstrap(args.resamples, args.seed)
    for group in build_mask_database(args.results, args.database, bootstrap, args.metric):
        print(f"left out: {group}, of features that are no more or of another version")
    print(leaderboard_text(args.database))


if __name__ == "__main__":
    sys.exit(run(main))
