"""Pure: the table of pipelines, a row each, and what marks a row."""

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any

import pandas as pd

UNKNOWN = math.nan
EXTRACTION, TRAINING = "extraction", "training"
ACCURACY, MEAN_IOU, H_MEAN = "accuracy", "mean_iou", "h_mean"
NAMES = {ACCURACY: "accuracy", MEAN_IOU: "mean IoU", H_MEAN: "H-mean"}
SAME = 2**-11
"""Relative difference of features that counts as none: half a step of float16, by which a store rounds them."""


@dataclass(frozen=True)
class Row:
    """One pipeline. Numbers are NaN where it was not measured; `note` then says why."""

    pipeline: str
    settings: str
    """How it was set up."""
    decoding: str = ""
    """JSON of the keys of ``decoding`` in the config that choose it; empty where none do."""
    encoder: str = ""
    """JSON of the keys of the encoder in the config that choose it: `micro_batch`, `precision`, `compile`."""
    images: int = 0
    """Of the sample, those included that cannot be read; of datasets with masks patches."""
    unreadable: int = 0
    prepare_s: float = UNKNOWN
    """What it wrote before its epochs took, or compiling at its longest."""
    cold_s: float = UNKNOWN
    """Seconds of the first epoch, its files dropped from the page cache: median of the rounds."""
    cold_images_per_s: float = UNKNOWN
    warm_s: float = UNKNOWN
    """The same of the second epoch."""
    warm_images_per_s: float = UNKNOWN
    cpu_s: float = UNKNOWN
    """Processor seconds of all processes in the second epoch."""
    peak_mb: float = UNKNOWN
    """Most memory of all processes together, MB of 2**20 bytes; pages that they share count once."""
    least_times: float = UNKNOWN
    """How many times as fast as the first row of its task in the round where that was least, by the slower epoch of
    each."""
    feature_difference: float = UNKNOWN
    """Norm of the difference of the features from those of the first row, over the norm of these."""
    accuracy: float = UNKNOWN
    """On val, of a ridge head on these features; or the figure `metric` of a small mask head on these maps."""
    accuracy_difference: float = UNKNOWN
    """From the first row, image by image."""
    low: float = UNKNOWN
    high: float = UNKNOWN
    """Ends of its 95 % interval."""
    task: str = EXTRACTION
    """Or `training`: a linear head on these features, one epoch; or the config's network."""
    metric: str = ACCURACY
    """What `accuracy` is: accuracy, or of masks mean_iou, of words h_mean."""
    differs: bool = False
    """Whether the accuracy, or the number of unreadable images, is not that of the first row."""
    note: str = ""
    network: str = ""
    """JSON of the keys of the network in the config that choose it, of its training; empty where none do."""

    @property
    def measured(self) -> bool:
        """Whether there are rates."""
        return not math.isnan(self.warm_s)

    @property
    def apart(self) -> str:
        """The difference in accuracy in words; without an interval where too few images or groups are in val."""
        if math.isnan(self.accuracy_difference):
            return "not known"
        if math.isnan(self.low):
            return f"{self.accuracy_difference:+.4f} (no interval: too few images of val)"
        return f"{self.accuracy_difference:+.4f} ({self.low:+.4f} to {self.high:+.4f})"

    @property
    def images_per_s(self) -> float:
        """What it can promise: the lower rate of its cold and its warm epoch."""
        return min(self.cold_images_per_s, self.warm_images_per_s)


@dataclass(frozen=True)
class Round:
    """What one round of a pipeline took."""

    cold_s: float
    warm_s: float
    cpu_s: float
    peak_mb: float
    compile_s: float = 0.0
    """Of the encoder, before the epochs; 0 where it is eager."""

    @property
    def slower_s(self) -> float:
        """Of the slower epoch."""
        return max(self.cold_s, self.warm_s)


def least_times(rounds: Sequence[Round], default: Sequence[Round], of: str = "slower_s") -> float:
    """How many times as fast as the default a pipeline was in its worst round, against the same round.

    of: the seconds of a round that count.
    """
    return min(float(getattr(other, of) / getattr(one, of)) for one, other in zip(rounds, default, strict=True))


def medians(rounds: Sequence[Round], images: int) -> dict[str, Any]:
    """The fields of a row that come from its rounds."""
    cold_s, warm_s = median(each.cold_s for each in rounds), median(each.warm_s for each in rounds)
    return {
        "cold_s": cold_s,
        "cold_images_per_s": images / cold_s,
        "warm_s": warm_s,
        "warm_images_per_s": images / warm_s,
        "cpu_s": median(each.cpu_s for each in rounds),
        "peak_mb": max(each.peak_mb for each in rounds),
    }


def marks(
    unreadable: int, expected: int, feature_difference: float, low: float, high: float, metric: str = ACCURACY
) -> list[str]:
    """Why a row is not comparable with the first one; nothing where it is.

    unreadable, expected: images, of this row and of the first. low, high: interval of the difference in accuracy, which
    holds 0 where the two do not differ; NaN where it is not known.
    """
    found = [] if unreadable == expected else [f"{unreadable} unreadable images, not {expected}"]
    if feature_difference <= SAME or low <= 0 <= high:
        return found
    if math.isnan(low) or math.isnan(high):
        return [*found, f"other features, whose {NAMES[metric]} is not known"]
    return [*found, f"its {NAMES[metric]} differs"]


def frame_of(rows: Iterable[Row]) -> pd.DataFrame:
    """The rows as a table, in their order."""
    return pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(Row)])


def csv_bytes(rows: Iterable[Row]) -> bytes:
    """pipelines.csv: four digits, empty where a number is not known."""
    return frame_of(rows).to_csv(index=False, float_format="%.4g", lineterminator="\n").encode("utf-8", "replace")


def cells_from(data: bytes) -> list[dict[str, Any]]:
    """The rows of the bytes of a pipelines.csv, with the columns of ``Row`` that it has, and None for empty cells.

    Raises ValueError where the bytes are no table.
    """
    names = {field.name for field in fields(Row)}
    frame = pd.read_csv(io.BytesIO(data), usecols=lambda name: name in names)
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in record.items()} for record in records]
