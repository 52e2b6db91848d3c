"""Print the leaderboard of an experiments.db, the best head on val first."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.experiments.leaderboard import leaderboard_text
from unchoke.experiments.readings import count_reading
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--database", type=Path, required=True, help="experiments.db of a dataset")
    database = parser.parse_args(argv).database
    if database.exists():
        count_reading(database.parent, "print_leaderboard")
    print(leaderboard_text(database))


if __name__ == "__main__":
    sys.exit(run(main))
