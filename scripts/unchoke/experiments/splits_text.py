"""Pure: what the terminal and the report say of heads over random splits of the same images."""

from collections.abc import Sequence
from typing import Any

from unchoke.metrics.classification import SPOKEN

_MOST_FAILED = 20  # lines; the table ``split_repeats`` has all
Failed = tuple[str, str, int, str]
"""Encoder, head, repeat, and why it does not count."""


def splits_note(repeats: int, metric: str) -> str:
    """What the figures over splits are."""
    return (
        f"over {repeats} splits: mean ± sd of {SPOKEN[metric]} on test over random splits of the same images; "
        "its 95 % interval is corrected for the images that splits share (Nadeau and Bengio 2003)."
    )


def failed_note(failed: Sequence[Failed]) -> list[str]:
    """A line for each split that does not count, and for each reason."""
    heads: dict[tuple[int, str], list[str]] = {}
    for encoder, head, repeat, why in failed:
        heads.setdefault((repeat, why), []).append(f"{encoder} {head}")
    lines = [
        f"warning: split {repeat} does not count for {names[0] if len(names) == 1 else f'{len(names)} heads'}: {why}"
        for (repeat, why), names in sorted(heads.items())
    ]
    hidden = len(lines) - _MOST_FAILED
    return lines if hidden <= 0 else [*lines[:_MOST_FAILED], f"warning: {hidden} more reasons in split_repeats"]


def splits_lines(rows: Sequence[dict[str, Any]], failed: Sequence[Failed]) -> list[str]:
    """A line a head with its figures over splits; none where there is one split. rows: of the view ``leaderboard``."""
    rows = [row for row in rows if row["splits"] is not None]
    if not rows:
        return []
    names = [f"{row['encoder']} {row['head']}" for row in rows]
    width = max(map(len, names))
    lines = [f"  {name.ljust(width)}  {_line(row)}" for name, row in zip(names, rows, strict=True)]
    return [splits_note(rows[0]["splits"], rows[0]["metric"]), *lines, *failed_note(failed)]


def _line(row: dict[str, Any]) -> str:
    counted = f", {row['splits_counted']} of {row['splits']} splits count" * (row["splits_counted"] < row["splits"])
    mean = "not known" if row["splits_mean"] is None else f"{row['splits_mean']:.4f}"
    spread = "" if row["splits_sd"] is None else f" ± {row['splits_sd']:.4f}"
    ends = _ends(row["splits_low"], row["splits_high"], "")
    return f"{mean}{spread}, {ends}{counted}; {_against(row)}"


def _ends(low: float | None, high: float | None, sign: str) -> str:
    return "no interval" if low is None else f"{low:{sign}.4f} to {high:{sign}.4f}"


def _against(row: dict[str, Any]) -> str:
    if row["is_best"]:
        return "is the best on val"
    if row["splits_difference"] is None:
        return "no split in common with the best"
    ends = _ends(row["splits_difference_low"], row["splits_difference_high"], "+")
    mark = ", told apart" if row["splits_told_apart"] else ""
    return f"{row['splits_difference']:+.4f} ({ends}) against the best{mark}"
