"""Features once, many heads, nothing lost: a short way to the workflow's commands.

`snakemake` is the interface; each subcommand that calls it prints the command line first.
"""

import argparse
import sys
from collections.abc import Sequence

from unchoke.cli import checks, detect, init, leaderboard, predict, report, run, segment
from unchoke.machine import commands

_SUBCOMMANDS = (init, checks, run, leaderboard, report, predict, segment, detect)
"""In the order in which a user needs them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status of ``unchoke argv``, as ``commands.run`` has it; 2 for a wrong command line."""
    given = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    args, unknown = parser.parse_known_args(*_split(given))
    if unknown:
        parser.error(f"unknown: {' '.join(unknown)}; flags of snakemake stand behind --: -c FILE -- {unknown[0]} …")
    status: list[int | None] = []
    failed = commands.run(lambda _: status.append(args.main(args)), [])
    return failed or (status and status[0]) or 0


def _split(argv: list[str]) -> tuple[list[str], argparse.Namespace]:
    """What stands before ``--``, and what stands behind it, which is for Snakemake."""
    place = argv.index("--") if "--" in argv else len(argv)
    return argv[:place], argparse.Namespace(snakemake=argv[place + 1 :])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "unchoke", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    subcommands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in _SUBCOMMANDS:
        module.add_to(subcommands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
