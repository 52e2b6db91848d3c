"""Run the workflow: all of it, or the files that are named.

Everything behind -- goes to snakemake as it is: unchoke run -c my.yaml -- --resources gpu=2
"""

import argparse
from typing import Any

from unchoke.cli.flags import add_config_flag, existing_config, subcommand
from unchoke.cli.launch import become, snakemake_command


def add_to(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = subcommand(subcommands, "run", __doc__, main)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="files or rules to make; none: everything")
    add_config_flag(parser)
    parser.add_argument("--cores", metavar="N", help="processors that jobs may take at once; all of them by default")
    parser.add_argument("-n", "--dry-run", action="store_true", help="say what would run, and run nothing")


def main(args: argparse.Namespace) -> None:
    """Go on as snakemake."""
    cores = ["--cores", args.cores] if args.cores else []
    flags = [*cores, *(["--dry-run"] if args.dry_run else []), *args.snakemake]
    become(snakemake_command(existing_config(args.config), args.targets, flags))
