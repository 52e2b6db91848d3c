"""Make a run's report, one page that opens without a network, and print its path."""

import argparse
from typing import Any

from unchoke.cli.flags import add_config_flag, read_config, subcommand
from unchoke.cli.launch import call, snakemake_command
from unchoke.cli.results import results_of


def add_to(subcommands: Any) -> None:
    """Add the subcommand."""
    add_config_flag(subcommand(subcommands, "report", __doc__, main))


def main(args: argparse.Namespace) -> int:
    """Snakemake's status; the path goes to stdout alone."""
    page = results_of(read_config(args.config)["dataset"]["name"]) / "report.html"
    status = call(snakemake_command(args.config, [str(page)], args.snakemake))
    if status == 0:
        print(page)
    return status
