"""Tables come back from the disk as they were, whatever the names in them."""

import csv
import io
import math
import tempfile
from pathlib import Path
from unittest import mock

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.store import tables
from unchoke.store.tables import MANIFEST_COLUMNS, QUARANTINE_COLUMNS, ROW_COLUMNS, frame_bytes, read_table, table_bytes

COLUMNS = {"image_id": int, "path": str, "reason": str}

# As the system gives file names: any bytes but 0, those that are no UTF-8 as surrogates.
file_names = st.binary(max_size=12).map(lambda name: name.translate(None, b"\0\r").decode("utf-8", "surrogateescape"))
awkward_text = st.text(st.sampled_from(list(",\"'\n; \té日🦉=#\\")), max_size=8)
texts = file_names | awkward_text
rows = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), texts, texts).map(list), max_size=8)


def read_back(data, columns=COLUMNS):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        path.write_bytes(data)
        return read_table(path, columns)


@given(rows)
def test_a_table_comes_back_as_it_was(rows):
    table = read_back(table_bytes(COLUMNS, rows))
    assert table.astype(object).to_numpy().tolist() == rows
    assert table.dtypes.to_dict() == {"image_id": "int64", "path": object, "reason": object}


@pytest.mark.parametrize("text", ["a\r\nb", "\r", "Icon\r"])
def test_a_carriage_return_comes_back_as_it_was(text):
    assert read_back(table_bytes(COLUMNS, [[0, text, ""]]))["path"].tolist() == [text]


@given(rows)
def test_other_readers_of_csv_read_the_same(rows):
    text = table_bytes(COLUMNS, rows).decode("utf-8", "surrogateescape")
    header, *found = csv.reader(io.StringIO(text, newline=""))
    assert header == list(COLUMNS)
    assert found == [[str(value) for value in row] for row in rows]


@given(rows)
def test_a_frame_is_written_as_its_rows_are(rows):
    columns = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(COLUMNS, ())
    frame = pd.DataFrame({"more": 1.5, **{name: list(values) for name, values in columns.items()}})
    assert frame_bytes(frame, COLUMNS) == table_bytes(COLUMNS, rows)


def test_names_that_are_not_utf8_are_written_as_their_own_bytes():
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    assert table_bytes(["path"], [[name]]) == b"path\ncaf\xe9.png\n"


def test_the_rows_of_a_chunk_and_the_quarantine_carry_the_id_and_path_of_the_manifest():
    assert list(ROW_COLUMNS)[:2] == list(QUARANTINE_COLUMNS)[:2] == list(MANIFEST_COLUMNS)[:2] == ["image_id", "path"]


@pytest.mark.parametrize("header", [b"image_id,path", b"path,image_id,reason", b"image_id,path,reason,more"])
def test_other_columns_are_refused_with_found_and_expected(tmp_path, header):
    path = tmp_path / "table.csv"
    path.write_bytes(header + b"\n")
    with pytest.raises(UnchokeError, match="cannot be read") as caught:
        read_table(path, COLUMNS)
    for part in (header.decode().replace(",", ", "), "image_id, path, reason", str(path)):
        assert part in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b'image_id,path,reason\n0,"cut'])
def test_what_is_no_table_is_named(tmp_path, content):
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnchokeError, match="cannot be read") as caught:
        read_table(path, COLUMNS)
    assert str(path) in str(caught.value)


@given(rows, st.data())
def test_large_tables_are_read_as_small_ones(rows, data):
    """Also with a stray byte: the same values, or an error."""
    table = table_bytes(COLUMNS, rows)
    place = data.draw(st.integers(len("image_id,path,reason\n"), len(table)))
    stray = data.draw(st.sampled_from([b"", b",", b"\n", b'"', b"\r", b"\0", b".", b"e", b" ", b"\xff", b"\n,,"]))
    table = table[:place] + stray + table[place:]
    found = []
    for large in (2**18, 0):
        with mock.patch.object(tables, "_LARGE", large):
            try:
                found.append(read_back(table))
            except UnchokeError:
                found.append(None)
    assert (found[0] is None) == (found[1] is None)
    if found[0] is not None:
        pd.testing.assert_frame_equal(*found)


def test_a_plain_large_table_is_read_by_the_quick_parser():
    table = table_bytes(COLUMNS, [[number, f"caf\udce9/{number}.png", ""] for number in range(3)])
    assert tables._plain_texts(table, COLUMNS) is not None


@pytest.mark.parametrize("line", [b"0,a", b"0,a,,b", b"zero,a,", b"", b"0,a\n1,b,,c", b"0,a,,c\n1,b", b"0,,,,\n1"])
@pytest.mark.parametrize("large", [tables._LARGE, 0])
def test_a_line_that_does_not_fit_is_named(tmp_path, monkeypatch, line, large):
    monkeypatch.setattr(tables, "_LARGE", large)
    path = tmp_path / "table.csv"
    path.write_bytes(b"image_id,path,reason\n" + line + b"\n")
    with pytest.raises(UnchokeError, match=r"table\.csv"):
        read_table(path, COLUMNS)


def test_numbers_and_text_come_back_as_they_were(tmp_path: Path) -> None:
    frame = pd.DataFrame({"step": [1, 2], "loss": [0.1, math.nan], "name": pd.Series(["a", "b"], dtype=object)})
    columns = {"step": int, "loss": float, "name": str}
    (tmp_path / "table.csv").write_bytes(frame_bytes(frame, columns))
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.csv", columns), frame)
