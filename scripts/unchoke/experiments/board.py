"""What an experiments.db says, for those who show it. Imports no NumPy: Snakemake's process reads it too."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.experiments.readings import Reading
from unchoke.machine.receipts import read_result

if TYPE_CHECKING:
    from unchoke.experiments.splits_text import Failed


def leaderboard(database: Path) -> Iterator[dict[str, Any]]:
    """The rows of the view ``leaderboard``, the best on val first."""
    with _opened(database) as connection:
        connection.row_factory = sqlite3.Row
        yield from map(dict, connection.execute("SELECT * FROM leaderboard"))


def ranking_of(database: Path) -> tuple[str, str]:
    """The task of a dataset's heads, such as ``run_record.CLASSIFICATION``, and the metric that ranks them."""
    with _opened(database) as connection:
        return connection.execute("SELECT task, metric FROM ranking").fetchone()  # type: ignore[no-any-return]


def floors(database: Path) -> tuple[str, float | None, float | None] | None:
    """The largest class of train, and what always saying it is worth on val and on test by the metric that ranks.

    None where heads predict masks, or where there are none.
    """
    query = """
        SELECT val.class, val.value, test.value FROM ranking
        JOIN floors AS val ON val.name = ranking.metric AND val.split = 'val'
        JOIN floors AS test ON test.name = ranking.metric AND test.split = 'test'
    """
    with _opened(database) as connection:
        return connection.execute(query).fetchone()  # type: ignore[no-any-return]


def readings_of(database: Path) -> list[Reading]:
    """Who had read test when the database was built."""
    with _opened(database) as connection:
        query = "SELECT read_at, user, host, command FROM test_readings ORDER BY reading_id"
        return [Reading(*(cell or "" for cell in row)) for row in connection.execute(query)]


def failed_repeats(database: Path) -> "list[Failed]":
    """The random splits that do not count for a head, with the reason."""
    query = """
        SELECT encoders.name, heads.name, repeat, failed FROM split_repeats JOIN runs USING (run_id)
        JOIN encoders USING (encoder_id) JOIN heads USING (head_id) WHERE failed IS NOT NULL ORDER BY 1, 2, 3
    """
    with _opened(database) as connection:
        return connection.execute(query).fetchall()


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    if not database.exists():
        raise UnchokeError("There is no database.", where=str(database), do="make it: snakemake --cores all")
    read_result(database)
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version != versions.DATABASE:
            raise UnchokeError(
                "The database is of another version of Unchoke.",
                found=f"version {version}",
                expected=f"version {versions.DATABASE}",
                where=str(database),
                do="build it again: snakemake --cores all",
            )
        yield connection
