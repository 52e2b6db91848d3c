"""Write the config's JSON schema, its default file and its table of keys from the model in unchoke/config/."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.config.docs import DEFAULTS, SCHEMA, TABLE, config_defaults, config_schema, config_table
from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--repository", type=Path, default=Path(), help="the folder that holds config/ and workflow/")
    args = parser.parse_args(argv)
    for name, text in {SCHEMA: config_schema(), DEFAULTS: config_defaults(), TABLE: config_table()}.items():
        write_atomic(args.repository / name, text.encode())


if __name__ == "__main__":
    sys.exit(run(main))
