"""Print the settings of a protocol as YAML, to be put into a config's heads and changed."""

import sys
from collections.abc import Sequence
from inspect import cleandoc

import yaml

from unchoke.config.presets import PRESETS
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("name", choices=sorted(PRESETS), help="the protocol")
    name = parser.parse_args(argv).name
    for line in cleandoc(PRESETS[name].__doc__ or "").splitlines():
        print(f"# {line}".rstrip())
    print(yaml.safe_dump({"heads": {name: PRESETS[name]()}}, sort_keys=False, width=120), end="")


if __name__ == "__main__":
    sys.exit(run(main))
