"""Stage: the rows files, which say of each image under which path and time its features were made.

    rows/<chunk>.csv    what the features of a chunk depend on; the bytes of an image are known by path, size and time
    moves.csv           images that lie elsewhere now, or have another time, with the same bytes; their rows stay
    moved/<chunk>.csv   where a job finds the images of a chunk; only of chunks with moved images

So a moved image changes no rows file, and no chunk is made again.
"""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from unchoke.files import write_if_changed
from unchoke.manifest.moves import GONE, Placing
from unchoke.store import tables
from unchoke.store.cuts import chunk_bounds, chunk_count

_STATE = ["path", "mtime_ns"]
_ROW_STATE = ["row_path", "row_mtime_ns"]


def read_lines(frame: pd.DataFrame, manifest: Path) -> pd.DataFrame:
    """The manifest `frame` with path and time of each image as its rows file has them. manifest: where it lies."""
    moves = manifest.with_name("moves.csv")
    if not moves.exists():
        return frame
    # A listing that was killed may have left moves of which the manifest knows nothing yet.
    states = frame[["image_id", *_STATE]]
    known = states.merge(tables.read_table(moves, tables.MOVE_COLUMNS), "inner", ["image_id", *_STATE])
    return _with_lines(frame, known.set_index("image_id")[_ROW_STATE].set_axis(_STATE, axis=1))


def kept_lines(frame: pd.DataFrame, lines: pd.DataFrame, placing: Placing) -> pd.DataFrame:
    """The same of a manifest that was brought up to date: lines change where bytes may have changed.

    frame: the new manifest. lines: of the one before. placing: of the files.
    """
    old = frame.iloc[: len(lines)]
    same = old["excluded"].isin(GONE).to_numpy() | old["image_id"].isin(placing.same).to_numpy()
    return _with_lines(frame, lines[same].set_index("image_id")[_STATE])


def _with_lines(frame: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """The manifest with the paths and times of `lines`, which is indexed by image_id, where it has them."""
    changed = frame.set_index("image_id", drop=False)
    changed.loc[lines.index, _STATE] = lines[_STATE]
    return changed.reset_index(drop=True).astype({"mtime_ns": "int64"})


def moves_of(frame: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    """The table of moves. frame: the manifest. lines: the same rows with the paths and times of the rows files."""
    moves = frame.assign(row_path=lines["path"], row_mtime_ns=lines["mtime_ns"])
    return moves[(moves["path"] != moves["row_path"]) | (moves["mtime_ns"] != moves["row_mtime_ns"])]


def write_moves(moves: pd.DataFrame, path: Path) -> None:
    """Write the table of moves, where there are any or were some."""
    if len(moves) or path.exists():
        write_if_changed(path, tables.frame_bytes(moves, tables.MOVE_COLUMNS))


def found_paths(frame: pd.DataFrame, lines: pd.DataFrame) -> dict[int, str]:
    """By image_id the path of each image that lies elsewhere than its rows file says; empty where there is no file.

    A vanished image has no file, even if another image has its path now.
    """
    gone = frame["excluded"].isin(GONE)
    taken = gone & lines["path"].isin(frame.loc[~gone, "path"])
    elsewhere = (frame["path"] != lines["path"]) & ~gone
    paths = frame["path"].where(~taken, "")[elsewhere | taken]
    return dict(zip(frame.loc[paths.index, "image_id"].tolist(), paths, strict=True))


def write_rows(
    frame: pd.DataFrame, columns: dict[str, type], chunk_size: int, folder: Path, found: dict[int, str] | None = None
) -> int:
    """Write ``<folder>/<chunk>.csv`` for every chunk, touching only what changed; return the number of chunks.

    Its columns are those that features depend on. A vanished row keeps its line, so that its chunk is not made again.
    found: as of ``found_paths``, for the files beside them; None where there are none.
    """
    rows = list(zip(*(frame[name].tolist() for name in columns), strict=True))
    ids = frame["image_id"].tolist()
    n_chunks, moved = chunk_count(len(rows), chunk_size), set()
    for chunk in range(n_chunks):
        start, stop = chunk_bounds(chunk, len(rows), chunk_size)
        file = folder / f"{chunk}.csv"
        if found and (entries := [(image, found[image]) for image in dict.fromkeys(ids[start:stop]) if image in found]):
            data = tables.table_bytes(list(tables.PLACE_COLUMNS), entries)
            write_if_changed(tables.moved_file(file), data, sync=False)
            moved.add(chunk)
        write_if_changed(file, tables.table_bytes(list(columns), rows[start:stop]), sync=False)
    _remove_strangers(folder, range(n_chunks))
    if found is not None:
        _remove_strangers(tables.moved_file(folder / "0.csv").parent, moved)
    return n_chunks


def _remove_strangers(folder: Path, chunks: Collection[int]) -> None:
    """Delete the tables of all but these chunks."""
    for file in folder.glob("*.csv"):
        if not file.stem.isdigit() or int(file.stem) not in chunks:
            file.unlink()
