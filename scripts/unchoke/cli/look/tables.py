"""A CSV that names images: which of its columns says what."""

from collections.abc import Callable
from pathlib import Path

from unchoke.cli.look.found import GROUPS, LABELS, MASKS, PATHS, Found, first_named
from unchoke.errors import UnchokeError
from unchoke.sources.csv_files import CsvFile, read_csv
from unchoke.sources.kinds.folder import IMAGE_ENDINGS
from unchoke.sources.source import path_on_disk

_LOOKED_AT = 200  # rows


def look_at(path: Path) -> Found:
    """The source in the CSV at `path`; UnchokeError proposes which columns to rename."""
    table = read_csv(path)
    image = "path" if "path" in table.columns else _column_of_images(table, path.parent)
    if image == "path" and "polygon" in table.columns:
        from unchoke.cli.look import words

        return words.look_at(path)
    mask, label = first_named(table.columns, MASKS), first_named(table.columns, LABELS)
    kind, other, wanted = ("masks", mask, "mask") if mask else ("csv", label, "label")
    if image != "path" or other != wanted:
        raise _other_columns(table, {"path": image, wanted: other}, path)
    found = Found({"kind": kind, "path": str(path)}, f"a CSV with a row an image, {len(table.rows):,} rows")
    group = first_named(table.columns, GROUPS)
    if group and group != "group" and len(set(_cells(table, group))) < len(table.rows):
        found.dataset["split"] = {"group": group}
        found.notes.append(f"Images with the same value in the column '{group}' stay in one split.")
    if mask:
        from unchoke.cli.look.masks import with_classes

        return with_classes(found, path)
    return found


def _cells(table: CsvFile, column: str) -> list[str]:
    place = table.columns.index(column)
    return [row[place] for row in table.rows if len(row) > place]


def _column_of_images(table: CsvFile, folder: Path) -> str:
    """The column that names most images: by files that are there, else by endings; empty where none does."""

    def is_there(cell: str) -> bool:
        return bool(cell.strip()) and (folder / path_on_disk(folder, cell)).is_file()

    def looks_so(cell: str) -> bool:
        return cell.strip().lower().endswith(IMAGE_ENDINGS)

    columns = [column for column in table.columns if column]
    columns.sort(key=lambda column: column != first_named(columns, PATHS))  # of equal ones
    for test in (is_there, looks_so):
        best = max(columns, key=lambda column: _share(table, column, test), default="")
        if best and _share(table, best, test) > 0.5:
            return best
    return ""


def _share(table: CsvFile, column: str, test: Callable[[str], bool]) -> float:
    """Share of a column's first cells that pass a test."""
    cells = _cells(table, column)[:_LOOKED_AT]
    return sum(map(test, cells)) / max(1, len(cells))


def _other_columns(table: CsvFile, columns: dict[str, str], path: Path) -> UnchokeError:
    """columns: by the name that is needed the one that seems to be meant; empty where none does."""
    renames = [f"'{found}' to '{name}'" for name, found in columns.items() if found and found != name]
    missing = [f"a column '{name}'" for name, found in columns.items() if not found]
    do = [*([f"rename the columns {' and '.join(renames)}"] if renames else [])]
    do += [f"add {' and '.join(missing)}"] if missing else []
    return UnchokeError(
        "The CSV has other columns than a run reads.",
        found=f"columns {', '.join(filter(None, table.columns))}",
        expected="path and label, path and mask, or path and polygon; paths below the CSV's folder; split and group "
        "if you have them",
        where=str(path.absolute()),
        do=", ".join(do) + ", in its first line",
    )
