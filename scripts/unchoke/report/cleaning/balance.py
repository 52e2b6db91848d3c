"""The balance of the classes before and after cleaning, and in the subset."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unchoke.cleaning.clean import SUBSET
from unchoke.cleaning.rules import class_balance
from unchoke.names import SPLITS
from unchoke.report.style import COLOURS, GREY, new_figure, note_figure, plain, styled

MOST_CLASSES = 20
"""Of more classes those whose share changes most are shown."""
BEFORE, CLEANED, IN_SUBSET = "before cleaning", "after cleaning", "in the subset"
STAGES = {BEFORE: "#bdbdbd", CLEANED: COLOURS[0], IN_SUBSET: COLOURS[2]}


def count_classes(manifest: pd.DataFrame, selection: pd.DataFrame) -> pd.DataFrame:
    """Images in use by split and label (the rows) at each of the STAGES (the columns); no subset, no such column.

    manifest: the columns of tables.MANIFEST_COLUMNS. selection: as from tables.read_selection; its labels hold after
    cleaning.
    """
    left_out = manifest["image_id"].map(selection.set_index("image_id")["left_out"])
    taught = manifest.assign(label=selection["label"]) if "label" in selection else manifest
    given, cleaned = (_by_class(rows, left_out.replace(SUBSET, "")) for rows in (manifest, taught))
    counts = pd.DataFrame({BEFORE: given["before"], CLEANED: cleaned["after"]})
    if (left_out == SUBSET).any():
        counts[IN_SUBSET] = _by_class(taught, left_out)["after"]
    # A class may be in a split only before, or only under the labels of the user.
    in_order = given.index.union(cleaned.index, sort=False)
    return counts.reindex(in_order).fillna(0).astype(int)


def _by_class(rows: pd.DataFrame, left_out: pd.Series) -> pd.DataFrame:
    return class_balance(rows, left_out.to_numpy(object)).set_index(["split", "label"])


def shares(counts: pd.DataFrame) -> pd.DataFrame:
    """Of each count its share of the images in its split at that stage, 0 where the split is empty."""
    totals = counts.groupby(level="split").transform("sum")
    return counts / totals.clip(lower=1)


def most_changed(counts: pd.DataFrame, most: int = MOST_CLASSES) -> list[str]:
    """All classes in their order; of more than `most` those whose share of a split cleaning changes most."""
    share = shares(counts)
    change = (share[CLEANED] - share[BEFORE]).abs().groupby(level="label").max()
    if len(change) <= most:
        return [str(label) for label in change.index]
    return [str(label) for label in change.sort_values(ascending=False, kind="stable").index[:most]]


@styled
def draw_balance(counts: pd.DataFrame) -> Figure:
    """Images, or shares of them where classes are many, by class and split at every stage; counts: ``count_classes``.

    Behind a bar stands what it is, its share of the split, and how many images went at that stage.
    """
    if not len(counts):
        return note_figure("Classes before and after cleaning", "No image is in use.")
    classes, number = most_changed(counts), counts.index.get_level_values("label").nunique()
    many = number > len(classes)
    which = f", the {len(classes)} of {number:,} whose share cleaning changes most" if many else ""
    splits = [split for split in SPLITS if split in counts.index.get_level_values("split")]
    height_in = 1.9 + (0.2 * len(counts.columns) + 0.15) * len(classes)
    figure = new_figure(12, height_in, f"Classes before and after cleaning{which}")
    for axes, split in zip(figure.subplots(1, len(splits), sharey=True, squeeze=False)[0], splits, strict=True):
        share = _of_split(shares(counts), split, classes)
        of_split = _of_split(counts, split, classes)
        _draw_split(axes, of_split, share, share * 100 if many else of_split)
        totals = counts[counts.index.get_level_values("split") == split].sum().tolist()
        axes.set_title(f"{split}: {' → '.join(f'{total:,}' for total in totals)} images", size=10)
        axes.set_xlabel("share of the split, %" if many else "images")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower right", ncols=3)
    return figure


def _of_split(frame: pd.DataFrame, split: str, classes: list[str]) -> pd.DataFrame:
    """The rows of `classes` in one split, zeros where it has none of a class."""
    rows = frame[frame.index.get_level_values("split") == split]
    return rows.droplevel("split").reindex(classes, fill_value=0)


def _draw_split(axes: Axes, counts: pd.DataFrame, share: pd.DataFrame, length: pd.DataFrame) -> None:
    """counts, share, length (of the bars): of one split, classes by stages."""
    height, before = 0.84 / len(counts.columns), counts[BEFORE]
    for place, stage in enumerate(counts.columns):
        y_C = np.arange(len(counts)) - 0.42 + (place + 0.5) * height
        axes.barh(y_C, length[stage], height=height * 0.92, color=STAGES[str(stage)], label=stage)
        for row in zip(length[stage], y_C, counts[stage], share[stage], before - counts[stage], strict=True):
            _tell(axes, *row)
        before = counts[stage]
    axes.set_yticks(range(len(counts)), [plain(str(label), 20) for label in counts.index])
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.set_xlim(0, max(float(length.to_numpy().max()), 1e-9) * 2.1)
    axes.locator_params("x", nbins=4)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:g}")
    axes.grid(visible=False, axis="y")


def _tell(axes: Axes, length: float, y: float, count: int, share: float, gone: int) -> None:
    """Write what a bar is behind it."""
    text = f"{count:,} ({share:.1%})".replace("%", " %") + (f", {gone:,} gone" if gone else "")
    colour = "black" if gone else GREY
    axes.annotate(text, (length, y), (3, 0), textcoords="offset points", va="center", size=8.5, color=colour)
