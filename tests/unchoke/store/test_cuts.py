"""Chunks cover rows exactly once."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from unchoke.store.cuts import chunk_bounds, chunk_count, chunks_of

row_counts = st.integers(0, 2000)
chunk_sizes = st.integers(1, 300)


def rows_by_chunk(n_rows, chunk_size):
    return [list(range(*chunk_bounds(k, n_rows, chunk_size))) for k in range(chunk_count(n_rows, chunk_size))]


@given(row_counts, chunk_sizes)
def test_chunks_cover_all_rows_once_and_in_order(n_rows, chunk_size):
    assert list(chain.from_iterable(rows_by_chunk(n_rows, chunk_size))) == list(range(n_rows))


@given(row_counts, chunk_sizes)
def test_all_chunks_but_the_last_are_full_and_none_is_empty(n_rows, chunk_size):
    sizes = [len(rows) for rows in rows_by_chunk(n_rows, chunk_size)]
    assert all(size == chunk_size for size in sizes[:-1])
    assert all(1 <= size <= chunk_size for size in sizes[-1:])


@given(row_counts, st.integers(0, 500), chunk_sizes)
def test_more_rows_leave_full_chunks_as_they_are(n_rows, n_more, chunk_size):
    full = n_rows // chunk_size
    assert rows_by_chunk(n_rows, chunk_size)[:full] == rows_by_chunk(n_rows + n_more, chunk_size)[:full]


@given(row_counts, row_counts, chunk_sizes)
def test_rows_lie_in_the_chunks_that_hold_them(first, behind, chunk_size):
    assert list(chunks_of(first, behind, chunk_size)) == sorted({row // chunk_size for row in range(first, behind)})


def test_chunks_by_hand():
    """47 rows in chunks of 4, which are cut into shards of 5 chunks."""
    assert chunk_count(47, 4) == 12
    assert [chunk_bounds(shard, 12, 5) for shard in range(chunk_count(12, 5))] == [(0, 5), (5, 10), (10, 12)]
    assert (chunks_of(3, 9, 4), chunks_of(4, 8, 4), chunks_of(8, 8, 4)) == (range(3), range(1, 2), range(0))
