"""Draw the leaderboard for the report, and write it as a table."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.experiments.leaderboard import floors, leaderboard, readings_of, remarks
from unchoke.experiments.readings import count_reading
from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.metrics.classification import SPOKEN
from unchoke.report.leaderboard import COLUMNS, draw_leaderboard, floor_cells, note_of, table_rows
from unchoke.report.pages import table_page
from unchoke.report.points import add_points
from unchoke.report.style import png_bytes


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--database", type=Path, required=True, help="experiments.db of the dataset")
    parser.add_argument("--picture", type=Path, required=True, help="PNG to write")
    parser.add_argument("--table", type=Path, required=True, help="HTML page to write")
    args = parser.parse_args(argv)
    count_reading(args.database.parent, "draw_leaderboard")
    rows, floor = list(leaderboard(args.database)), floors(args.database)
    metric = rows[0]["metric"] if rows else "accuracy"
    worst = (floor[0], floor[2]) if floor else None
    write_atomic(args.picture, png_bytes(draw_leaderboard(rows, SPOKEN[metric], floor=worst)))
    note = " ".join([note_of(metric), *remarks(rows, readings_of(args.database))])
    table = add_points(rows, note, COLUMNS, list(table_rows(rows)), [floor_cells(*floor)] if floor else [])
    write_atomic(args.table, table_page("Leaderboard", *table))
    print(f"{len(rows)} heads: {args.picture}")


if __name__ == "__main__":
    sys.exit(run(main))
