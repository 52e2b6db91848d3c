"""Every query of the pages can be asked of the experiments.db of any finished run: there is one schema."""

import re
import sqlite3
from contextlib import closing

import pytest
from conftest import REPOSITORY, Clone

pytestmark = pytest.mark.xdist_group("run")

PAGES = [REPOSITORY / f"docs/{page}.md" for page in ("statistics", "masks", "pipelines")]
QUERIES = [
    part.strip() for page in PAGES for part in re.search(r"```sql\n(.+?)```", page.read_text(), re.S)[1].split("\n\n")
]


def test_there_are_eleven_queries() -> None:
    assert len(QUERIES) == 11


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.splitlines()[0][3:])
def test_a_query_of_the_page_has_an_answer(query: str, finished: tuple[Clone, str]) -> None:
    with closing(sqlite3.connect(finished[0].results / "experiments.db")) as connection:
        columns = connection.execute(query.replace("'ablation'", "(SELECT min(name) FROM heads)")).description
        assert len(columns) >= 2
