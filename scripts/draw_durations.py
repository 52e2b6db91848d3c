"""Draw the durations for the report: the stages of extraction, and the heads."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from unchoke.experiments.board import leaderboard, ranking_of
from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.receipts import read_result
from unchoke.names import CLASSIFICATION
from unchoke.report.durations import draw_durations
from unchoke.report.pages import add_page_flags, table_page
from unchoke.report.style import png_bytes


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--rates", type=Path, required=True, help="CSV of seconds and rates by stage")
    parser.add_argument("--database", type=Path, required=True, help="experiments.db of the dataset")
    add_page_flags(parser)
    args = parser.parse_args(argv)
    rates = pd.read_csv(io.BytesIO(read_result(args.rates)), dtype={"encoder": str}, keep_default_na=False)
    unit = "images" if ranking_of(args.database)[0] == CLASSIFICATION else "patches"
    write_atomic(args.picture, png_bytes(draw_durations(rates, list(leaderboard(args.database)), unit)))
    note = "Reading and decoding, which threads do side by side, count divided by their number. Peaks in MB."
    table = rates.rename(columns={"images_per_s": f"{unit}_per_s"})
    rows = table.astype(object).to_numpy().tolist()
    write_atomic(args.table, table_page("Seconds and rates by stage", note, table, rows))
    print(f"{len(rates)} stages: {args.picture}")


if __name__ == "__main__":
    sys.exit(run(main))
