"""The part of the page about each head: facts, settings, and the figures that other jobs drew."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from unchoke.metrics.grids import choice_text
from unchoke.names import IMAGE_TASKS
from unchoke.page.alts import alts_of
from unchoke.page.files import PageFiles
from unchoke.page.pictures import Inline, figure_picture
from unchoke.page.text import duration
from unchoke.page.verdict import Row, figure_text, name_of
from unchoke.report.results import read_head
from unchoke.report.settings import spoken
from unchoke.store.run_record import DETECTION, SEGMENTATION
from unchoke.store.zarr_bytes import read_facts

CAPTIONS = {
    "settings": ("How it was chosen", "The score on val of every setting that was tried, or the curves of its epochs."),
    "predicted": ("Predicted and true", "Dots on the dashed line are right; on the right the errors."),
    "areas": ("Labels whatever the threshold", "Average precision and AUROC of each label on test."),
    "parts": ("Classes and groups", "Precision, recall and F1 on test. Bars are 95 % intervals, where there are any."),
    "confusion": ("Confusion", "Rows are true classes, columns predicted ones; the diagonal is right."),
    "reliability": ("Reliability", "Whether its confidence can be trusted: bars are the share that is right."),
    "mistakes": ("Mistakes", "Its most confident mistakes on test. Wrong labels often show up here first."),
    "mask_curves": ("How it was trained", "Loss on train and score on val after each epoch, and by the clock."),
    "mask_overlays": ("Masks", "Outlines of the truth and of the prediction on test images; wrong pixels are yellow."),
    "mask_confusion": ("Confusion of pixels", "Rows are true classes, columns predicted ones; the diagonal is right."),
    "text_overlays": ("Words", "Words on test images: found, missed, falsely found, ignored."),
    "text_thresholds": ("Thresholds", "H-mean on val over the thresholds with which words are read."),
    "steps": ("Steps of the training", "Loss, images a second and memory below the budget, step by step."),
}
"""Title and caption of a figure, by the name of its file."""
OVERLAYS = {SEGMENTATION: "mask_overlays", DETECTION: "text_overlays"}
"""By task the figure of the best head that stands before the others."""


@dataclass(frozen=True)
class Picture:
    """A figure on the page."""

    title: str
    caption: str
    alt: str
    picture: Inline | None
    """None where the page would grow too large; then only the link stands there."""
    link: str
    """From the page to the file."""


@dataclass
class Room:
    """How many bytes of figures the page still takes."""

    left: int

    def take(self, picture: Inline) -> Inline | None:
        """The picture, where there is room for it."""
        if len(picture.url) > self.left:
            return None
        self.left -= len(picture.url)
        return picture


@dataclass(frozen=True)
class HeadPart:
    """A head."""

    name: str
    summary: str
    facts: dict[str, str]
    settings: dict[str, str]
    warnings: list[str]
    figures: dict[str, Picture] = field(default_factory=dict)


def head_part(files: PageFiles, row: Row, room: Room) -> HeadPart:
    """The part of one head, a row of the leaderboard."""
    settings = read_facts(files.group(row)).get("settings", {})
    return HeadPart(
        name_of(row),
        _summary(row),
        dict(_facts(row)),
        {spoken(name): _value(value) for name, value in sorted(settings.items()) if name != "kind"},
        json.loads(row["warnings"]),
        dict(_figures(files, row, room)),
    )


def figure_of(files: PageFiles, path: str, title: str, caption: str, alt: str, room: Room) -> Picture | None:
    """A figure below the folder of figures; None where no job drew it."""
    file = files.figures / path
    if not file.is_file():
        return None
    picture = room.take(figure_picture(file.read_bytes()))
    return Picture(title, caption, alt, picture, f"{files.figures.name}/{path}")


def _figures(files: PageFiles, row: Row, room: Room) -> Iterator[tuple[str, Picture]]:
    head = read_head(files.group(row)) if row["task"] in IMAGE_TASKS else None
    said = alts_of(row, head)
    for name, (title, caption) in CAPTIONS.items():
        alt = ": ".join(filter(None, [f"{title}, of {name_of(row)}", said.get(name)]))
        if picture := figure_of(files, f"{row['encoder']}/{row['head']}/{name}.png", title, caption, alt, room):
            yield name, picture


def _summary(row: Row) -> str:
    if row["test"] is None:
        return "no figure on test"
    low, high = row["test_low"], row["test_high"]
    ends = "" if low is None or high is None else f" ({figure_text(row, low)} to {figure_text(row, high)})"
    return f"{figure_text(row, row['test'])} on test{ends}"


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    yield "kind", row["kind"]
    yield "reads", row["pool"]
    yield "weights of the encoder", row["weights"]
    yield "chosen on val", choice_text(json.loads(row["chosen"]), json.loads(row["edges"])).replace("_", " ")
    yield "settings tried", f"{row['trials']:,}"
    yield "seeds or draws", f"{row['replicates']:,}"
    yield "test images", f"{row['test_images']:,}"
    yield "time", duration(row["seconds"])


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
