"""Tables as HTML pages of their own."""

import argparse
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

MOST_ROWS = 2000  # browsers refuse to open much larger pages from within the report
_CSS = """
body { font: 14px sans-serif; margin: 1em; } p { max-width: 60em; }
table { border-collapse: collapse; } th, td { padding: 0.25em 0.6em; border-bottom: 1px solid #ddd; text-align: left; }
td { white-space: nowrap; }
th { position: sticky; top: 0; background: #f0f0f0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
"""


def add_page_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that draws a picture and writes a table: ``--picture``, ``--table``."""
    parser.add_argument("--picture", type=Path, required=True, help="PNG to write")
    parser.add_argument("--table", type=Path, required=True, help="HTML page to write")


def table_page(title: str, note: str, columns: Iterable[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A page with one table. Of more rows than the first 2,000 it says how many are left out."""
    if len(rows) > MOST_ROWS:
        note = f"The first {MOST_ROWS:,} of {len(rows):,} rows. {note}"
    head = "".join(f"<th>{html.escape(name.replace('_', ' '))}</th>" for name in columns)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[:MOST_ROWS])
    text = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_CSS}</style>\n<h1>{html.escape(title)}</h1>\n<p>{html.escape(note)}</p>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></html>\n"
    )
    return text.encode("utf-8", "replace")


def _cell(value: Any) -> str:
    kind = ' class="number"' if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"<td{kind}>{html.escape(cell_text(value))}</td>"


def cell_text(value: Any) -> str:
    """The text of a cell: floats with four digits, a dash for None."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return str(value)
