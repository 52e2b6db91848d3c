"""Print the leaderboard of an experiments.db, the best head on val first."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.experiments.leaderboard import leaderboard_text
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--database", type=Path, required=True, help="experiments.db of a dataset")
    print(leaderboard_text(parser.parse_args(argv).database))


if __name__ == "__main__":
    sys.exit(run(main))
