"""Pure: which rows belong to which chunk. Rows are cut by id, so a growing manifest only adds chunks at its end.

The same holds for the chunks of a shard, and of a job that takes several: they are cut as rows are. The Snakefile reads
this module, which therefore imports no numpy.
"""


def chunk_count(n_rows: int, chunk_size: int) -> int:
    """Number of chunks of `chunk_size` rows that `n_rows` rows need; the last one may be partly filled."""
    return -(-n_rows // chunk_size)


def chunk_bounds(chunk: int, n_rows: int, chunk_size: int) -> tuple[int, int]:
    """First row of `chunk` and the row behind its last one."""
    return chunk * chunk_size, min((chunk + 1) * chunk_size, n_rows)


def chunks_of(first: int, behind: int, chunk_size: int) -> range:
    """Numbers of the chunks in which rows `first` to `behind` (excluded) lie."""
    return range(first // chunk_size, chunk_count(behind, chunk_size)) if first < behind else range(0)
