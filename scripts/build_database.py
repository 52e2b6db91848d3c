"""Write experiments.db anew from the results of all heads, and print its leaderboard."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.experiments.database import RANKING, build_database
from unchoke.experiments.leaderboard import leaderboard_text
from unchoke.experiments.parts import Asked
from unchoke.experiments.readings import count_reading
from unchoke.machine.commands import argument_parser, run
from unchoke.metrics.units import Bootstrap
from unchoke.names import CLASSIFICATION
from unchoke.store.run_record import TASKS


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the dataset's folder of results")
    parser.add_argument("--database", type=Path, required=True, help="SQLite file to write")
    parser.add_argument("--task", choices=TASKS, default=CLASSIFICATION, help="of the heads")
    parser.add_argument("--metric", choices=RANKING, help="the figure that ranks heads and compares them")
    parser.add_argument("--specificity", type=float, help="of two classes: at which sensitivity is read; none: nowhere")
    parser.add_argument("--positive", help="of two classes: the positive one, by default the second")
    parser.add_argument("--resamples", type=int, default=Bootstrap.resamples, help="of masks: bootstrap resamples")
    parser.add_argument("--seed", type=int, default=Bootstrap.seed, help="of masks: seed of the bootstrap")
    parser.add_argument("--repeats", type=int, default=1, help="random splits that heads were trained on")
    args = parser.parse_args(argv)
    count_reading(args.results, "build_database")  # the table of readings has it
    asked, bootstrap = Asked(args.specificity, args.positive), Bootstrap(args.resamples, args.seed)
    how = args.task, args.metric or "", asked, bootstrap, args.repeats
    left_out = build_database(args.results, args.database, *how)
    for group in left_out:
        print(f"left out: {group}, of features that are no more, of another version or of another task")
    print(leaderboard_text(args.database))


if __name__ == "__main__":
    sys.exit(run(main))
