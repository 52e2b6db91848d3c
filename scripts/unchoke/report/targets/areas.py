"""How well each label is found whatever the threshold: average precision and AUROC."""

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from unchoke.metrics.classification import area, precision_area
from unchoke.report.style import COLOURS, GREY, MARKERS, new_figure, plain, styled

MOST_NAMED = 30


@styled
def draw_areas(
    true_NK: NDArray[np.bool_], logits_RNK: NDArray[np.floating], names: list[str], title: str, note: str = ""
) -> Figure:
    """A line a label, the lowest average precision first; of many the worst MOST_NAMED. Means over R replicates."""
    found = label_areas(true_NK, logits_RNK)
    known = np.flatnonzero(np.isfinite(found["average precision"]))
    shown = known[np.argsort(found["average precision"][known], kind="stable")][:MOST_NAMED]
    lost = len(names) - len(known)
    notes = [note, f"{lost} of {len(names)} labels are left out, since no image of test has them." if lost else ""]
    heading = f"the {len(shown)} of {len(names)} labels with the lowest" if len(shown) < len(known) else "labels by"
    height_in = 1.9 + 0.3 * max(len(shown), 2)
    figure = new_figure(9, height_in, f"{title}: {heading} average precision", " ".join(notes).strip())
    axes = figure.subplots()
    lines = range(len(shown))
    axes.plot(true_NK.mean(0)[shown], lines, "|", color=GREY, markersize=12, label="share of images")
    for place, (name, values_K) in enumerate(found.items()):
        axes.plot(values_K[shown], lines, MARKERS[place], color=COLOURS[place], label=name, markersize=5)
    axes.set_yticks(list(lines), [f"{plain(names[k])} ({int(true_NK[:, k].sum()):,})" for k in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, fontsize=9)
    return figure


def label_areas(true_NK: NDArray[np.bool_], logits_RNK: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
    """Average precision and AUROC of each label, (K,); NaN where images do not tell."""
    some_K, every_K = np.asarray(true_NK.any(0)), np.asarray(true_NK.all(0))
    counted = {"average precision": (precision_area, some_K), "AUROC": (area, some_K & ~every_K)}
    return {
        name: np.array(
            [
                np.mean([figure(true_NK[:, k], logits_NK[:, k])[0] for logits_NK in logits_RNK])
                if there_K[k]
                else np.nan
                for k in range(true_NK.shape[1])
            ]
        )
        for name, (figure, there_K) in counted.items()
    }
