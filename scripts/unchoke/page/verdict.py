"""The verdict: what the best head is worth, in one sentence."""

from typing import Any

from unchoke.names import MULTILABEL
from unchoke.page.text import figure, together
from unchoke.report.leaderboard import UNDEFINED, merit_of
from unchoke.store.run_record import DETECTION

Row = dict[str, Any]
"""Of the view ``leaderboard``."""
Floor = tuple[str, float | None, float | None]
"""The largest class of train, and what always saying it is worth on val and on test."""

_INTERVAL = together("95 % interval")


def verdict(rows: list[Row], floor: Floor | None) -> str:
    """The best head on val with its figure on test, beside chance and the runner-up.

    rows: the best on val first. floor: as of ``experiments.leaderboard.floors``.
    """
    if not rows:
        return "No head has been trained: the config names none."
    best, *others = rows
    if best["test"] is None and best["task"] == DETECTION and best["blend"] is not None:
        return UNDEFINED
    if best["test"] is None:
        return f"The head {name_of(best)} has no figure on test."
    parts = [_best(best), _chance(best, floor), _runner_up(best, others)]
    return "; ".join(filter(None, parts)) + "."


def name_of(row: Row) -> str:
    """The head and its encoder."""
    return f"{row['head']} on {row['encoder']}"


def figure_text(row: Row, value: float, *, signed: bool = False) -> str:
    """A figure of the metric that ranks: accuracies in per cent, differences of them in points."""
    if row["metric"] != "accuracy":
        return figure(value, 3, signed=signed)
    return together(f"{figure(100 * value, 1, signed=signed)} {'points' if signed else '%'}")


def _best(row: Row) -> str:
    what = "is right on" if row["metric"] == "accuracy" else f"reaches {merit_of(row['task'], row['metric'])}"
    test = f"of {row['test_images']:,} test images" if row["metric"] == "accuracy" else "on test"
    return f"The best head on val, {name_of(row)}, {what} {figure_text(row, row['test'])} {test}{_ends(row, 'test')}"


def _ends(row: Row, name: str, *, signed: bool = False, note: str = "") -> str:
    """The interval in brackets, where there is one."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if low is None or high is None:
        return f" ({note})" if note else ""
    interval = f"{_INTERVAL} {figure_text(row, low, signed=signed)} to {figure_text(row, high, signed=signed)}"
    return f" ({', '.join(filter(None, [interval, note]))})"


def _chance(row: Row, floor: Floor | None) -> str:
    if floor is None or floor[2] is None:
        return ""
    said = f"the {floor[0]} alone give" if row["task"] == MULTILABEL else f"always saying “{floor[0]}” gives"
    return f"{said} {figure_text(row, floor[2])}"


def _runner_up(best: Row, others: list[Row]) -> str:
    """The next head on val, by the paired difference on test."""
    if not others:
        return "no other head was trained"
    second = others[0]
    if second["difference"] is None:
        return f"the runner-up is {name_of(second)}"
    apart = "told apart" if second["told_apart"] else "not told apart"
    gap = figure_text(second, second["difference"], signed=True)
    return f"the runner-up, {name_of(second)}, differs by {gap}{_ends(second, 'difference', signed=True, note=apart)}"
