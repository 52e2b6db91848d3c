"""Pure: from the table to lines of YAML that a user can paste into a config."""

import json
from collections.abc import Sequence

from unchoke.pipelines.table import Row

WORTH = 1.05
"""How many times the rate of the default a pipeline must have to be recommended in its place."""


def best_setting(rows: Sequence[Row]) -> Row:
    """The fastest row that a config can choose, like the first and faster in each round; else the first."""
    default = rows[0]
    able = [row for row in rows if row.measured and row.decoding and not row.differs and row.least_times > 1]
    best = max(able, key=lambda row: row.images_per_s, default=default)
    return best if best.images_per_s > WORTH * default.images_per_s else default


def recommendation(rows: Sequence[Row], threads: int, rounds: int) -> str:
    """Comments with the promised rate and where it comes from, lines of YAML, and what was faster but is no setting.

    rows: the first is the default. threads: that were measured.
    """
    best, default = best_setting(rows), rows[0]
    times = best.images_per_s / default.images_per_s
    lines = [
        f"# {best.pipeline}: {best.images_per_s:,.0f} images/s, {times:.2f} × the default",
        f"# Basis: the lower of the cold and warm rate, medians of {rounds} rounds over {best.images:,} images, one",
        "# process; the start of a run is not in it.",
        "decoding:",
        *(f"  {key}: {json.dumps(value)}" for key, value in json.loads(best.decoding).items()),
        f"  threads: {threads}",
    ]
    faster = [row for row in rows if row.measured and row.images_per_s > WORTH * best.images_per_s]
    for row in sorted(faster, key=lambda row: -row.images_per_s):
        why = row.note if row.differs else "no setting of the config for this encoder"
        lines.append(f"# Faster, but not recommended: {row.pipeline}, {row.images_per_s:,.0f} images/s ({why})")
    return "\n".join(lines) + "\n"
