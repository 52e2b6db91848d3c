"""What the README tells to ask of experiments.db can be asked of it."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Clone

pytestmark = pytest.mark.xdist_group("run")

README = Path(__file__).parents[2] / "README.md"
QUERIES = [part.strip() for part in re.search(r"```sql\n(.+?)```", README.read_text(), re.S)[1].split("\n\n")]


def test_there_are_seven_queries() -> None:
    assert len(QUERIES) == 7


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.splitlines()[0][3:])
def test_a_query_of_the_readme_has_an_answer(query: str, finished: tuple[Clone, str]) -> None:
    with closing(sqlite3.connect(finished[0].results / "experiments.db")) as connection:
        columns = connection.execute(query.replace("'ablation'", "(SELECT min(name) FROM heads)")).description
        assert len(columns) >= 2
