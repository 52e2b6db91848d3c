"""Check that encoders have the pools, strides and sizes of the config, without weights or images."""

import json
import sys
from collections.abc import Sequence

from unchoke.encoders.checks import check_encoders
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--encoders", type=json.loads, required=True, help="JSON: encoders to check, by name")
    check_encoders(parser.parse_args(argv).encoders)


if __name__ == "__main__":
    sys.exit(run(main))
