"""What the rules of cleaning found: how many images each, and the table of them."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unchoke.cleaning.findings import FEATURE_RULES
from unchoke.cleaning.rules import RULES
from unchoke.report.pages import MOST_ROWS
from unchoke.report.style import COLOURS, new_figure, note_figure, styled
from unchoke.store.tables import FINDING_COLUMNS

DROPPED, REPORTED = "dropped", "only reported"
STATES = {DROPPED: COLOURS[1], REPORTED: COLOURS[0]}
"""What became of an image, with its colour in all pictures of cleaning."""
COLUMNS = (*FINDING_COLUMNS, "left_out")


def rules_on(rules: Mapping[str, Any]) -> list[str]:
    """Names of the rules that are not off, in the order in which they are applied."""
    return [name for name in (*RULES, *FEATURE_RULES) if rules.get(name)]


def spoken(rule: str) -> str:
    """Name of a rule as one reads it."""
    return rule.replace("_", " ")


def states(findings: pd.DataFrame) -> pd.Series:
    """DROPPED for every finding whose rule drops the image, else REPORTED."""
    return findings["action"].map({"drop": DROPPED, "report": REPORTED})


def dropped_ids(findings: pd.DataFrame) -> set[int]:
    """Ids of the images that a rule drops."""
    return set(findings["image_id"][findings["action"] == "drop"].tolist())


def count_findings(findings: pd.DataFrame, rules: Mapping[str, Any]) -> pd.DataFrame:
    """Images by rule (rows: all rules that are on) and by what became of them (columns: those of STATES)."""
    counts = pd.crosstab(findings["rule"], states(findings))
    return counts.reindex(index=rules_on(rules), columns=list(STATES), fill_value=0).astype(int)


@styled
def draw_findings(findings: pd.DataFrame, rules: Mapping[str, Any], images: int, near_leaks: int = 0) -> Figure:
    """Images by rule, of `images` that were looked at; bars are cut into dropped ones and those only reported.

    findings: the columns of tables.FINDING_COLUMNS. rules: settings by name, None where off. near_leaks: as
    ``clean.near_leaks`` counts them.
    """
    counts = count_findings(findings, rules)
    if not len(counts):
        return note_figure("Findings of cleaning", "All rules are off.")
    dropped = len(dropped_ids(findings))
    reported = findings["image_id"].nunique() - dropped
    heading = f"Cleaning drops {dropped:,} of {images:,} images, and only reports {reported:,}"
    drops = [rule for rule in rules_on(rules) if rules[rule]["action"] == "drop"]
    stays = (findings["split"] == "test") & (findings["action"] == "report") & findings["rule"].isin(drops)
    kept = findings.loc[stays, "image_id"].nunique()
    note = "An image that several rules find stands in the bar of each."
    note += f" In test, {kept:,} stay that a rule drops elsewhere." if kept else ""
    note += f"\nNear copies of an image in another split: {near_leaks:,} (leak.near)." if near_leaks else ""
    figure = new_figure(11, 2.2 + 0.42 * len(counts), heading, note)
    axes = figure.subplots()
    _draw_bars(axes, counts)
    axes.set_yticks(range(len(counts)), [f"{spoken(rule)} ({rules[rule]['action']})" for rule in rules_on(rules)])
    figure.legend(loc="outside upper right", ncols=2)
    return figure


def _draw_bars(axes: Axes, counts: pd.DataFrame) -> None:
    left_R = np.zeros(len(counts), int)
    for state, colour in STATES.items():
        axes.barh(range(len(counts)), counts[state], left=left_R, color=colour, height=0.6, label=state)
        left_R = left_R + counts[state].to_numpy()
    for place, count in enumerate(counts.to_dict("records")):
        axes.annotate(_told(count), (left_R[place], place), (5, 0), textcoords="offset points", va="center")
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.set_xlim(0, max(1, int(left_R.max())) * 1.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("images")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _told(count: dict[Any, int]) -> str:
    """The counts of one rule in words."""
    return ", ".join(f"{count[state]:,} {state}" for state in STATES if count[state]) or "0"


def listed(findings: pd.DataFrame, rules: Mapping[str, Any]) -> pd.DataFrame:
    """The findings for a page of limited length: at most the same number for each rule, in the order of the rules."""
    names = rules_on(rules)
    room = MOST_ROWS // max(1, len(names))
    kept = findings[findings.groupby("rule").cumcount() < room]
    place = kept["rule"].map({name: place for place, name in enumerate(names)})
    return kept.iloc[np.argsort(place.to_numpy(), kind="stable")]


def table_note(findings: pd.DataFrame, rules: Mapping[str, Any]) -> str:
    """What the page says above its table."""
    if not len(findings):
        return "No rule found anything."
    left = len(findings) - len(listed(findings, rules))
    cut = f"Of every rule the first findings: {left:,} of {len(findings):,} are left out here. " if left else ""
    told = (
        "other: image_id of the copy that stays",
        "nearest: image_id of the nearest images with the suggested label",
        "left out: the rule that drops the image, or the subset",
    )
    return f"{cut}{'. '.join(told)}."


def table_rows(findings: pd.DataFrame, selection: pd.DataFrame, rules: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of the page under our COLUMNS."""
    left_out = selection.set_index("image_id")["left_out"]
    shown = listed(findings, rules)
    for row in shown.assign(left_out=shown["image_id"].map(left_out)).to_dict("records"):
        numbers = {name: None if row[name] < 0 else row[name] for name in ("cluster", "other")}
        told: dict[Any, Any] = {**row, **numbers, "value": _number(row["value"])}
        yield tuple(told[name] for name in COLUMNS)


def _number(text: str) -> float | None:
    """The value of a finding, an int where it is whole."""
    value = float(text) if text else None
    return int(value) if value is not None and value.is_integer() else value
