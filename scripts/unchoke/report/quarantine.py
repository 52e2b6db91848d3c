"""The quarantine: how many images cannot be used, for which reasons."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unchoke.report.style import COLOURS, new_figure, note_figure, plain, styled

MOST_REASONS = 15


@styled
def draw_quarantine(quarantine: pd.DataFrame) -> Figure:
    """Images by reason, the most frequent first; quarantine: the table, with the column reason."""
    if not len(quarantine):
        return note_figure("Quarantine", "No image is in quarantine: all could be read.")
    counts = count_reasons(quarantine)
    figure = new_figure(10, 1.5 + 0.42 * len(counts), f"{len(quarantine):,} images in quarantine, by reason")
    axes = figure.subplots()
    axes.barh(range(len(counts)), list(counts.values()), color=COLOURS[0], height=0.6)
    for place, count in enumerate(counts.values()):
        axes.annotate(f"{count:,}", (count, place), (5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(counts)), [plain(reason, 64) for reason in counts])
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.1)
    axes.set_xlabel("images")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def count_reasons(quarantine: pd.DataFrame) -> dict[str, int]:
    """Images by reason, the most frequent first; the rarest together where they are many."""
    counts = quarantine["reason"].value_counts()
    counts = counts.sort_index().sort_values(ascending=False, kind="stable")
    rest = counts.iloc[MOST_REASONS:]
    named = {str(reason): int(count) for reason, count in counts.iloc[:MOST_REASONS].items()}
    return named | ({f"{len(rest)} other reasons": int(rest.sum())} if len(rest) else {})
