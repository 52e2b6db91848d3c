"""Draw the leaderboard for the report, and write it as a table."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.experiments.board import failed_repeats, floors, leaderboard, ranking_of, readings_of
from unchoke.experiments.leaderboard import remarks
from unchoke.experiments.readings import count_reading
from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.report.leaderboard import columns_of, draw_leaderboard, floor_cells, merit_of, note_of, table_rows
from unchoke.report.pages import add_page_flags, table_page
from unchoke.report.points import add_points
from unchoke.report.repeats import add_splits
from unchoke.report.style import png_bytes


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--database", type=Path, required=True, help="experiments.db of the dataset")
    add_page_flags(parser)
    args = parser.parse_args(argv)
    count_reading(args.database.parent, "draw_leaderboard")
    rows, floor, (task, metric) = list(leaderboard(args.database)), floors(args.database), ranking_of(args.database)
    worst = (floor[0], floor[2]) if floor else None
    write_atomic(args.picture, png_bytes(draw_leaderboard(rows, merit_of(task, metric), worst)))
    note, columns = (
        " ".join([note_of(task, metric), *remarks(rows, readings_of(args.database))]),
        list(columns_of(task)),
    )
    last = [floor_cells(columns, task, *floor)] if floor else []
    table = add_points(rows, note, columns, list(table_rows(rows)), last)
    table = add_splits(rows, failed_repeats(args.database), table)
    write_atomic(args.table, table_page("Leaderboard", *table))
    print(f"{len(rows)} heads: {args.picture}")


if __name__ == "__main__":
    sys.exit(run(main))
