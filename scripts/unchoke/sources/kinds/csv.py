"""A CSV with the columns path and label, and if there are any split and group."""

from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.names import nearest
from unchoke.sources.csv_files import CsvFile, read_csv
from unchoke.sources.locations import NO_FIELDS, Fields
from unchoke.sources.source import ImageFile, Listing, path_on_disk, refuse_duplicates, size_and_time, split_name
from unchoke.texts import clean_label, clean_text


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """One image a row; paths are relative to the CSV's folder. A file that is not there has size_bytes -1.

    group: the column that holds the group; null: the column `group` if there is one.
    """
    return listing_of(path, read_rows(path, ["path", "label"], group), group)


def listing_of(path: Path, rows: list[dict[str, str]], group: str | None) -> Listing:
    """The images of the rows of the CSV at `path`, with the columns path and label, in the order of their paths."""
    group = clean_text(group or "group")
    images = []
    for row in rows:
        size, mtime = size_and_time(path.parent / row["path"])
        label, group_of_row = (clean_label(row.get(column, "")) for column in ("label", group))
        images.append(ImageFile(row["path"], label, row.get("split", ""), group_of_row, size, mtime))
    return Listing(path.parent, sorted(images))


def read_rows(path: Path, columns_needed: list[str], group: str | None) -> list[dict[str, str]]:
    """The rows of a CSV by the names of its columns, `columns_needed` and `group` among them.

    Paths are spelled as the files on the disk are, where they are there, and splits are train, val, test or empty.
    Raises UnchokeError where it is no such table, where a row names no image, and where two name the same.
    """
    numbers, rows = numbered_rows(path, columns_needed, group)
    refuse_duplicates([row["path"] for row in rows], numbers, path)
    return rows


def numbered_rows(path: Path, columns_needed: list[str], group: str | None) -> tuple[list[int], list[dict[str, str]]]:
    """The same with the number of each row, where several rows may name one image."""
    table = read_csv(path)
    _check_columns(table, [*columns_needed, *([clean_text(group)] if group else [])], columns_needed, path)
    rows = [dict(zip(table.columns, cells, strict=False)) for cells in table.rows]
    for number, row in zip(table.numbers, rows, strict=True):
        if not clean_text(row.get("path", "")):
            raise UnchokeError("A row names no image.", found=f"an empty path in row {number}", where=str(path))
        row["path"] = path_on_disk(path.parent, row["path"])
        row["split"] = split_name(row.get("split", ""), f"{path}, row {number}")
    return table.numbers, rows


def _check_columns(table: CsvFile, wanted: list[str], always: list[str], path: Path) -> None:
    """UnchokeError names the first of the columns `wanted` that is missing, and the nearest to it."""
    for column in wanted:
        if column not in table.columns:
            near = nearest(column, table.columns, count=1)
            raise UnchokeError(
                f"The CSV has no column '{column}'.",
                found=f"columns {', '.join(table.columns)}",
                expected=f"{', '.join(always)} and, if you have them, split and group, with commas between",
                where=str(path),
                do=f"rename '{near[0]}' to '{column}'" if near else f"add the column '{column}'",
            )
