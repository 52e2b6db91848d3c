"""A small mask head on the maps of a sample, and its mean IoU or H-mean on val beside that of other maps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.mask_heads.ablation import train_members
from unchoke.mask_heads.batches import Held
from unchoke.mask_heads.head import predict
from unchoke.mask_heads.task import Task
from unchoke.mask_heads.text_loss import THRESHOLD
from unchoke.metrics import h_mean, iou
from unchoke.metrics.counts import Counts, compare_counts, figure_of
from unchoke.metrics.units import DEFAULT
from unchoke.metrics.word_matches import Words, matches_of, overlaps_of
from unchoke.names import map_name
from unchoke.pipelines.accuracy import UNKNOWN, Difference
from unchoke.pipelines.patches import whole_images
from unchoke.pipelines.table import H_MEAN, MEAN_IOU
from unchoke.pipelines.work import Features
from unchoke.store import chunks
from unchoke.store.read import FeatureStore
from unchoke.text.boxes import boxes_of
from unchoke.text.score import TEXT, Settings, words_of
from unchoke.text.thresholds import choose_thresholds

_COMMON: dict[str, Any] = {
    "weight_decays": [0.01],
    "seeds": [0],
    "batch_size": 4,
    "schedule": "cosine",
    "keep": "last",
    "precision": "float32",
    "distil": None,
    "augment": False,
    "class_weights": "none",
    "memory_mb": 1024,
    "choose_by": "mean_iou",
}
_PIXELS = {"loss": "cross_entropy", "dice": "batch", "focal_gamma": 2.0}
LINEAR = {**_COMMON, **_PIXELS, "kind": "linear", "learning_rates": [0.05], "epochs": 20}
DB = {**_COMMON, "kind": "db", "loss": "db", "width": 16, "learning_rates": [0.003], "epochs": 10}
"""The same heads, with the same seed and steps, for every pipeline."""
_TOGETHER = 4
"""Patches that are predicted at once."""
NO_WORDS = "H-mean is undefined: no word that counts lies in a whole image of val"


@dataclass(frozen=True)
class Detection:
    """What words are read with and compared with."""

    words: pd.DataFrame
    """The columns of ``tables.WORD_COLUMNS``."""
    settings: Settings


@dataclass(frozen=True)
class MaskJudge:
    """Trains a head on the patches of train, and counts on the whole images of val."""

    labels: FeatureStore
    strides: tuple[int, ...]
    device: torch.device
    detection: Detection | None = None
    """None: the classes of pixels are told apart."""

    @property
    def metric(self) -> str:
        """The figure of the counts."""
        return H_MEAN if self.detection else MEAN_IOU

    def answers(self, sample: pd.DataFrame, features: Features) -> Counts | str:
        """Counts of every whole image of val, as ``metrics.counts`` has them; or why there are none.

        sample: of ``patches_in_use``, with the features of each row.
        """
        sample = sample.reset_index(drop=True)
        usable = pd.Series(features.valid_N & self.labels.valid()[sample["patch_id"].to_numpy()])
        images, train = whole_images(sample, usable), sample[usable & (sample["split"] == "train")]
        val = sample[usable & sample["image_id"].isin(images)]
        if train.empty or val.empty:
            return "no patch of train or no whole image of val is in the sample"
        words = self._words(images)
        if words and all(each.ignored.all() for each in words.values()):
            return NO_WORDS
        try:
            modules = self._train(self._held(train, features), self._held(val, features))
        except UnchokeError as error:
            return str(error).splitlines()[0]
        found = self._of_images(modules, val, features)
        counts = _of_words(found, words, self.detection.settings) if self.detection else self._of_pixels(found, val)
        return Counts(np.array(list(counts), np.int64), np.array(list(counts.values()), np.int64))

    def difference(self, one: Counts | str, default: Counts | str, sample: pd.DataFrame) -> Difference:
        """The first head's figure, and its difference from the second's with its interval, on the images of both."""
        if isinstance(one, str) or isinstance(default, str):
            return UNKNOWN
        value = figure_of(one.counts_I.sum(0), self.metric)
        if one is default:
            return Difference(value, 0.0, 0.0, 0.0)
        groups = sample.drop_duplicates("image_id").set_index("image_id")["group"]
        found = compare_counts(one, default, groups, DEFAULT, self.metric)
        return Difference(value, found.difference, found.low, found.high) if found else UNKNOWN

    def _words(self, images: list[int]) -> dict[int, Words]:
        return {image: words_of(self.detection.words, image) for image in images} if self.detection else {}

    def _train(self, train: Held, val: Held) -> list[torch.nn.Module]:
        settings = DB if self.detection else LINEAR
        classes = len(self.labels.seal["settings"]["classes"])
        return train_members(Task(train, val, settings, classes, self.device, "")).modules(self.device)

    def _held(self, rows: pd.DataFrame, features: Features) -> Held:
        """Patches with their labels in memory."""
        maps, ids = self._maps(rows, features), rows["patch_id"].to_numpy(np.int64)
        channels = {name: values.shape[1] for name, values in maps.items()}
        if self.detection:
            maps |= {THRESHOLD: self.labels.rows(chunks.THRESHOLD, ids)[:, None]}
        strides = {map_name(stride): stride for stride in self.strides}
        return Held(channels, strides, maps, self.labels.rows(chunks.MASK, ids))

    def _maps(self, rows: pd.DataFrame, features: Features) -> dict[str, NDArray[Any]]:
        ends = np.cumsum([int(np.prod(shape)) for shape in features.shapes])[:-1]
        parts = np.split(features.values_ND[rows.index.to_numpy()], ends, 1)
        return {
            map_name(stride): part.reshape(len(rows), *shape)
            for stride, part, shape in zip(self.strides, parts, features.shapes, strict=True)
        }

    def _of_images(
        self, modules: list[torch.nn.Module], val: pd.DataFrame, features: Features
    ) -> Iterator[tuple[int, pd.DataFrame, NDArray[np.float32]]]:
        """Of each image its id, the rows of its patches, and their probabilities (N, K, S, S)."""

        def predicted(part: pd.DataFrame) -> NDArray[np.float32]:
            return predict(modules, self._maps(part, features))

        for _, rows in val.groupby("image_id"):
            parts = [rows.iloc[start : start + _TOGETHER] for start in range(0, len(rows), _TOGETHER)]
            yield (
                int(rows["image_id"].iloc[0]),
                rows,
                np.concatenate(list(map(predicted, parts))),
            )

    def _of_pixels(
        self, found: Iterator[tuple[int, pd.DataFrame, NDArray[np.float32]]], val: pd.DataFrame
    ) -> dict[int, NDArray[np.int64]]:
        """Pixels by true and predicted class, (K, K), of each image; of an overlap once for each patch."""
        counts = {}
        for image, rows, probability_NKSS in found:
            label_NSS = self.labels.rows(chunks.MASK, rows["patch_id"].to_numpy(np.int64))
            counts[image] = iou.counts_of(label_NSS, probability_NKSS.argmax(1), probability_NKSS.shape[1])
        return counts


def _of_words(
    found: Iterator[tuple[int, pd.DataFrame, NDArray[np.float32]]], words: dict[int, Words], settings: Settings
) -> dict[int, NDArray[np.int64]]:
    """Words matched, detected and true, (3,), of each image, with the thresholds of the best H-mean over them."""
    maps = {image: stitched(rows, probability[:, TEXT]) for image, rows, probability in found}
    true = [words[image] for image in maps]
    boxes = {
        binarise: [boxes_of(each, settings.reading(binarise, min(settings.box_scores))).boxes for each in maps.values()]
        for binarise in settings.binarise
    }
    chosen = choose_thresholds(true, boxes, settings.box_scores, settings.protocol)
    reading, counts = settings.reading(chosen.binarise, chosen.box_score), {}
    for image, probability_HW in maps.items():
        overlaps = overlaps_of(words[image], [box.polygon for box in boxes_of(probability_HW, reading).boxes])
        of_strata = h_mean.counts_of(overlaps, matches_of(overlaps, settings.protocol))
        counts[image] = of_strata[h_mean.STRATA.index("all")]
    return counts


def stitched(rows: pd.DataFrame, probability_NSS: NDArray[np.floating]) -> NDArray[np.float32]:
    """The map of a whole image, (H, W): the mean of its patches, which have `y0`, `x0`, `height` and `width`, px."""
    sides = [int((rows[start] + rows[side]).max()) for start, side in (("y0", "height"), ("x0", "width"))]
    total_HW, seen_HW = np.zeros(sides, np.float32), np.zeros(sides, np.float32)
    corners = rows[["y0", "x0", "height", "width"]].itertuples(index=False, name=None)
    for (y0, x0, height, width), part_SS in zip(corners, probability_NSS, strict=True):
        window = slice(y0, y0 + height), slice(x0, x0 + width)
        total_HW[window] += part_SS[:height, :width]
        seen_HW[window] += 1
    return (total_HW / np.maximum(seen_HW, 1)).astype(np.float32)
