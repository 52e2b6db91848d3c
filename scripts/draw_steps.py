"""Draw the steps of a network's training: loss, speed, and memory below the budget."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.report.steps import draw_steps
from unchoke.report.style import png_bytes
from unchoke.store.run_record import run_of


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--run", type=Path, required=True, help="JSON file with the names of the trainings")
    parser.add_argument("--vram-mb", type=float, required=True, help="memory that training may take, MB")
    parser.add_argument("--picture", type=Path, required=True, help="PNG to write")
    args = parser.parse_args(argv)
    record = run_of(args.run)
    figure = draw_steps(record.steps, args.vram_mb, f"{record.encoder} · {record.head}")
    write_atomic(args.picture, png_bytes(figure))


if __name__ == "__main__":
    sys.exit(run(main))
