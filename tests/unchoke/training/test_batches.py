"""Random batches: each row once; begun later, they are the rest, and what came before is not read."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unchoke.training.batches import Arrays, batch_count, random_batches


class Table:
    """Rows that are their own places, and what was read of them."""

    def __init__(self) -> None:
        self.reads: list[list[int]] = []

    def read(self, place_N: np.ndarray) -> Arrays:
        self.reads.append(place_N.tolist())
        return {"place": place_N.copy(), "wide": np.repeat(place_N[:, None], 1 << 17, 1)}  # 1 MB a row


def batches_of(table: Table, rows: int, size: int, chunk: int, budget_mb: float, first: int = 0) -> list[list[int]]:
    rng = np.random.default_rng([3, 1])
    found = []
    for arrays in random_batches(table.read, rows, size, rng, chunk, budget_mb, first):
        assert (arrays["wide"] == arrays["place"][:, None]).all()
        found.append(arrays["place"].tolist())
    return found


@given(
    rows=st.integers(1, 20),
    size=st.integers(1, 7),
    chunk=st.integers(1, 5),
    budget_mb=st.floats(0.1, 25),
    first=st.integers(0, 8),
)
def test_begun_later_the_batches_are_the_rest(rows: int, size: int, chunk: int, budget_mb: float, first: int) -> None:
    whole = batches_of(Table(), rows, size, chunk, budget_mb)
    assert sorted(place for batch in whole for place in batch) == list(range(rows))
    assert [len(batch) for batch in whole[:-1]] == [size] * (len(whole) - 1) and len(whole) == batch_count(rows, size)
    table = Table()
    assert batches_of(table, rows, size, chunk, budget_mb, first) == whole[first:]
    needed = {place for batch in whole[first:] for place in batch}
    assert all(needed & set(read) for read in table.reads[1:])  # the first read says how large a row is
    assert len(table.reads[1:]) == len({tuple(read) for read in table.reads[1:]})


def test_reads_keep_to_half_of_the_budget() -> None:
    table = Table()
    batches_of(table, 40, 6, 2, budget_mb=17)
    assert max(map(len, table.reads)) == 8
    table = Table()
    batches_of(table, 16, 6, 2, budget_mb=17)
    assert list(map(len, table.reads)) == [1, 16]
