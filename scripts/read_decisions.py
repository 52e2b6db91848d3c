"""Check the decisions that the user wrote about single images, and list them by image_id."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.cleaning.decisions import read_decisions, said
from unchoke.machine.commands import argument_parser, run
from unchoke.names import CLASSIFICATION, IMAGE_TASKS


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--decisions", type=Path, required=True, help="CSV of the user, cleaning.decisions in the config"
    )
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the images' paths and labels")
    parser.add_argument("--decided", type=Path, required=True, help="JSON to write: the decisions by image_id")
    parser.add_argument("--task", choices=IMAGE_TASKS, default=CLASSIFICATION, help="what heads predict")
    args = parser.parse_args(argv)
    print("\n".join(said(read_decisions(args.decisions, args.manifest, args.decided, args.task))))


if __name__ == "__main__":
    sys.exit(run(main))
