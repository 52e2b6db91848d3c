"""Count the images of each class by split, and warn of classes that look like a mistake."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.manifest.classes import count_classes


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the images")
    parser.add_argument("--classes", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args(argv)
    result = count_classes(args.manifest, args.classes)
    print(f"{len(result['classes'])} classes")
    for text in result["warnings"]:
        print(f"warning: {text}")


if __name__ == "__main__":
    sys.exit(run(main))
