"""A CSV with the columns path and label, and if there are any split and group."""

import csv
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.locations import NO_FIELDS, Fields
from unchoke.names import nearest
from unchoke.regular_files import open_text
from unchoke.sources import ImageFile, Listing, refuse_duplicates, size_and_time, split_name


def list_images(path: Path, group: str | None = None, fields: Fields = NO_FIELDS) -> Listing:
    """One image a row; paths are relative to the CSV's folder. A file that is not there has size_bytes -1.

    group: the column that holds the group; null: the column `group` if there is one.
    """
    return listing_of(path, read_rows(path, ["path", "label"], group), group)


def listing_of(path: Path, rows: list[dict[str, str]], group: str | None) -> Listing:
    """The images of the rows of the CSV at `path`, with the columns path and label, in the order of their paths."""
    root = path.parent
    refuse_duplicates([row["path"] for row in rows], path, first_line=2)
    images = []
    for number, row in enumerate(rows, 2):
        split = split_name(row.get("split") or "", f"{path}, row {number}")
        size, mtime = size_and_time(root / row["path"])
        images.append(ImageFile(row["path"], row["label"] or "", split, row.get(group or "group") or "", size, mtime))
    return Listing(root, sorted(images))


def read_rows(path: Path, columns_needed: list[str], group: str | None) -> list[dict[str, str]]:
    """The rows of a CSV by the names of its columns, `columns_needed` and `group` among them.

    Raises UnchokeError where it is no such table, or where a row names no image.
    """
    try:
        with open_text(path) as file:
            reader = csv.DictReader(file, strict=True)
            rows, columns = list(reader), reader.fieldnames or []
    except (OSError, csv.Error) as error:
        raise UnchokeError(
            "The CSV of images cannot be read.",
            found=str(error),
            where=str(path.absolute()),
            do="check dataset.path",
        ) from None
    for column in [*columns_needed, *([group] if group else [])]:
        if column not in columns:
            near = nearest(column, columns, count=1)
            raise UnchokeError(
                f"The CSV has no column '{column}'.",
                found=f"columns {', '.join(columns) or 'none'}",
                expected=f"{', '.join(columns_needed)} and, if you have them, split and group, with commas between",
                where=str(path),
                do=f"rename '{near[0]}' to '{column}'" if near else f"add the column '{column}'",
            )
    if wide := [number for number, row in enumerate(rows, 2) if None in row]:
        raise UnchokeError(
            "A row has more cells than there are columns.",
            found=f"row {wide[0]}: {', '.join(str(cell) for cell in rows[wide[0] - 2].values())}",
            where=str(path),
            do='put a path or label that has a comma in quotes: "red, green.png",cat',
        )
    if empty := [number for number, row in enumerate(rows, 2) if not row["path"]]:
        raise UnchokeError("A row names no image.", found=f"an empty path in row {empty[0]}", where=str(path))
    return rows
