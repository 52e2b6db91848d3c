"""The subcommands ``doctor``, ``profile`` and ``verify``: rules of the workflow that users call by name."""

import argparse
from functools import partial
from typing import Any

from unchoke.cli.flags import add_config_flag, existing_config, subcommand
from unchoke.cli.launch import become, snakemake_command

_RULES = {
    "doctor": "Say whether this machine can run a config: images, memory, disk, weights, time.",
    "profile": "Measure each step of extraction on a sample, and name the bottleneck.",
    "verify": "Compare every result with its digest, and name the command that mends each damaged file.",
}


def add_to(subcommands: Any) -> None:
    """Add the subcommands."""
    for rule, text in _RULES.items():
        add_config_flag(subcommand(subcommands, rule, text, partial(main, rule)))


def main(rule: str, args: argparse.Namespace) -> None:
    """Go on as snakemake."""
    become(snakemake_command(existing_config(args.config), [rule], args.snakemake))
