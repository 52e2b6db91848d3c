"""Count the images of each class by split, and warn of classes that look like a mistake."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.manifest.classes import count_classes
from unchoke.names import CLASSIFICATION, IMAGE_TASKS, REGRESSION


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the images")
    parser.add_argument("--classes", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--task", choices=IMAGE_TASKS, default=CLASSIFICATION, help="what heads predict")
    args = parser.parse_args(argv)
    result = count_classes(args.manifest, args.classes, args.task)
    print("numbers" if args.task == REGRESSION else f"{len(result['classes'])} classes or labels")
    for text in result["warnings"]:
        print(f"warning: {text}")


if __name__ == "__main__":
    sys.exit(run(main))
