"""Print the leaderboard of a finished run, the best head on val first."""

import argparse
from pathlib import Path
from typing import Any

from unchoke.cli.flags import add_config_flag, read_config, subcommand
from unchoke.cli.results import results_of


def add_to(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = subcommand(subcommands, "leaderboard", __doc__, main)
    which = parser.add_mutually_exclusive_group(required=True)
    add_config_flag(which, required=False)
    which.add_argument("--database", type=Path, metavar="FILE", help="an experiments.db, in the place of a config")


def main(args: argparse.Namespace) -> None:
    """Print it, which counts as a reading of test."""
    from unchoke.experiments.leaderboard import leaderboard_text
    from unchoke.experiments.readings import count_reading

    database = args.database or results_of(read_config(args.config)["dataset"]["name"]) / "experiments.db"
    if database.exists():
        count_reading(database.parent, "print_leaderboard")
    print(leaderboard_text(database))
