"""The subcommands ``doctor``, ``profile``, ``pipelines`` and ``verify``: rules that users call by name."""

import argparse
from functools import partial
from typing import Any

from unchoke.cli.flags import add_config_flag, existing_config, subcommand
from unchoke.cli.launch import become, snakemake_command

_RULES = {
    "doctor": "Say whether this machine can run a config: images, memory, disk, weights, time.",
    "profile": "Measure each step of extraction on a sample, and name the bottleneck.",
    "pipelines": "Measure ways to read, decode and encode on a sample, and recommend settings.",
    "verify": "Compare every result with its digest, and name the command that mends each damaged file.",
}
_CALLED = {"pipelines": "compare_pipelines"}
"""Rules whose name is longer than that of their subcommand."""


def add_to(subcommands: Any) -> None:
    """Add the subcommands."""
    for name, text in _RULES.items():
        add_config_flag(subcommand(subcommands, name, text, partial(main, _CALLED.get(name, name))))


def main(rule: str, args: argparse.Namespace) -> None:
    """Go on as snakemake."""
    become(snakemake_command(existing_config(args.config), [rule], args.snakemake))
