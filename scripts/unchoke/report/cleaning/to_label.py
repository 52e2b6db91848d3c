"""The images to label, as a contact sheet."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from unchoke.report.cleaning.contact_sheets import COLUMNS, KEPT, MOST_PICTURES, Tile, draw_tiles
from unchoke.report.style import new_figure, plain, styled
from unchoke.report.thumbnails import Picture

_VALUES = {"diverse": "distance", "typical": "distance", "uncertain": "margin"}


@styled
def draw_to_label(table: pd.DataFrame, how: str, note: str, pictures: Callable[[list[str]], list[Picture]]) -> Figure:
    """The first of the list, a picture each. table: ``tables.TO_LABEL_COLUMNS``. how: of the settings. note: below."""
    shown = table.head(MOST_PICTURES)
    of = f"first {len(shown)} of {len(table):,}" if len(table) > len(shown) else f"all {len(table)}"
    columns = min(COLUMNS, max(len(shown), 4))
    rows = -(-len(shown) // columns)
    figure = new_figure(2 * columns, 1.3 + 2.4 * rows, f"Images to label: {of}", note)
    drawn = zip(shown.to_dict("records"), pictures(shown["path"].tolist()), strict=True)
    tiles = [Tile(picture, KEPT, _lines(row, how)) for row, picture in drawn]
    draw_tiles(list(figure.subplots(rows, columns, squeeze=False).flat), tiles)
    return figure


def _lines(row: Mapping[Any, Any], how: str) -> tuple[str, ...]:
    """Rank and value, and what the label may be."""
    value = f", {_VALUES[how]} {float(row['value']):.3f}" if row["value"] else ""
    return f"{row['rank']}{value}", _guess(row), plain(row["path"], 27)


def _guess(row: Mapping[Any, Any]) -> str:
    if row["predicted"]:
        return f"{plain(row['predicted'], 11)} or {plain(row['second'], 11)}?"
    return f"nearest: {plain(row['nearest_label'], 17)}" if row["nearest_label"] else ""
