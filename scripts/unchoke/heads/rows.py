"""Rows of features by split, and the arithmetic that all kinds of head share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke.errors import SplitError, UnchokeError
from unchoke.heads.target import Target
from unchoke.heads.targets import CLASSES, target_of
from unchoke.manifest.images import in_use
from unchoke.metrics.positive import positive_place
from unchoke.names import CLASSIFICATION, SPLITS
from unchoke.store.read import FeatureStore

OVERLAP = 0.5
"""What few-shot draws may share on average without a warning: their spread is then 0.7 of that of new images."""
LEAST_DEVIATION = 1e-4
"""Of a feature that counts as varying, beside the others: one image in a million that has it alone reaches 1e-3."""
_BLOCK = 4096  # rows that are converted at once


@dataclass(frozen=True)
class Rows:
    """The rows of one split."""

    x_ND: torch.Tensor
    """Features, float16 or float32 as they are stored; all images in a first view, then all in a second, …"""
    y_N: torch.Tensor
    """Of each image what it is: the place of its class, int64 (N,), or (N, K); see ``target``."""
    image_id_N: NDArray[np.int64]
    group_N: NDArray[np.object_]
    """The group of each image; empty for none."""
    views: int = 1
    target: Target = CLASSES
    warnings: tuple[str, ...] = ()
    """What a reader of figures of this split must know."""

    def labels(self) -> torch.Tensor:
        """What every row of `x_ND` is."""
        return torch.cat([self.y_N] * self.views)


def split_rows(
    features: dict[str, FeatureStore], manifest: pd.DataFrame, settings: dict[str, Any], device: torch.device
) -> tuple[list[str], dict[str, Rows]]:
    """The classes in order, the positive one last, or what else a head predicts; and the usable rows of each split.

    Raises UnchokeError where a split has none, or where the positive class of the settings is none of two.

    features: the store of each view; settings: pool, train_views, test_views and task count.
    """
    target = target_of(settings)
    classes, usable = usable_rows(features, manifest, settings.get("positive"), target.task)
    views = sorted({*settings["train_views"], *settings["test_views"]})
    refuse_missing(views, features)
    values = {view: features[view].features(settings["pool"]) for view in views}
    rows = {}
    for split, part in usable.items():
        read = settings["train_views" if split == "train" else "test_views"]
        x_ND = np.concatenate([values[view][part.image_id_N] for view in read])
        refuse_not_finite(x_ND, part.image_id_N, features)
        x, y_N = (torch.from_numpy(array).to(device) for array in (x_ND, part.label_N))
        warnings = target.warnings(split, _cells(manifest, part.image_id_N), classes)
        rows[split] = Rows(x, y_N, part.image_id_N, part.group_N, len(read), target, tuple(warnings))
    _refuse_constant(rows["train"], features)
    return classes, rows


class Usable(NamedTuple):
    """The images of a split that may be used and could be read in every view."""

    image_id_N: NDArray[np.int64]
    label_N: NDArray[Any]
    """Places of the labels among the classes, or what else heads predict, as in ``Rows``."""
    group_N: NDArray[np.object_]
    """The group of each image; empty for none."""


def usable_rows(
    features: Mapping[str, FeatureStore],
    manifest: pd.DataFrame,
    positive: str | None = None,
    task: str = CLASSIFICATION,
) -> tuple[list[str], dict[str, Usable]]:
    """The classes in order, and the usable images of each split; UnchokeError where a split has none, or other classes.

    features: the store of each view. positive: of two classes the one that comes second. task: what heads predict, and
    so what labels are.
    """
    target = target_of({"task": task})
    usable = in_use(manifest[readable(features, manifest)])
    classes = target.names(usable.loc[usable["split"] == "train", "label"].tolist())
    if positive_place(classes, positive) == 0:
        classes = classes[::-1]
    found = {}
    for split in SPLITS:
        part = usable[usable["split"] == split]
        ids = part["image_id"].to_numpy(np.int64)
        if not len(ids):
            raise SplitError(f"No image of the {split} split could be read.", where=_where(features))
        label_N = target.values(part["label"].tolist(), classes, split)
        found[split] = Usable(ids, label_N, part["group"].to_numpy(object))
    return classes, found


def _cells(manifest: pd.DataFrame, image_id_N: NDArray[np.int64]) -> list[str]:
    """What the manifest says of these images; its rows are in the order of their ids."""
    return [str(label) for label in manifest["label"].to_numpy(object)[image_id_N]]


def _where(features: Mapping[str, FeatureStore]) -> str:
    return str(next(iter(features.values())).path)


def refuse_missing(views: Sequence[str], features: Mapping[str, FeatureStore]) -> None:
    """UnchokeError where a view has no store."""
    if missing := [view for view in views if view not in features]:
        raise UnchokeError(
            "The head reads a view whose features are not given.",
            found=f"views {', '.join(features)}",
            expected=f"also {', '.join(missing)}",
            where=_where(features),
            do="give the stores of all views that the head is trained on or tested on",
        )


def readable(features: Mapping[str, FeatureStore], manifest: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether the image could be read in every view; UnchokeError where a store is of other images."""
    for store in features.values():
        if len(manifest) != store.seal["images"]:
            raise UnchokeError(
                "Features and manifest are of different images.",
                found=f"{store.seal['images']} rows of features, {len(manifest)} images",
                where=str(store.path),
                do=f"bring the features up to date: snakemake --cores all {store.path / 'zarr.json'}",
            )
    return np.asarray(np.logical_and.reduce([store.valid() for store in features.values()]))


def refuse_not_finite(x_ND: NDArray[np.floating], ids: NDArray[np.int64], features: Mapping[str, FeatureStore]) -> None:
    """UnchokeError where features (V·N, D) of N images in V views are not finite."""
    wrong = np.flatnonzero(~np.isfinite(x_ND).all(1))
    if len(wrong):
        images = sorted({int(ids[row % len(ids)]) for row in wrong})
        raise UnchokeError(
            "Some features are not finite.",
            found=f"NaN or infinity in the rows of {len(images)} images, image_id {', '.join(map(str, images[:5]))}",
            where=_where(features),
            do="the store was not made by extract_chunk, which refuses such rows: delete it and run snakemake again",
        )


def _refuse_constant(train: Rows, features: dict[str, FeatureStore]) -> None:
    if len(train.x_ND) > 1 and bool((train.x_ND == train.x_ND[0]).all()):
        raise UnchokeError(
            "All training images have the same features: no head can tell them apart.",
            found=f"{len(train.x_ND)} equal rows",
            where=_where(features),
            do="look at the images, and at encoders.*.weights and image_size",
        )


def draw_shots(train: Rows, shots: int, draw: int, classes: Sequence[str]) -> Rows:
    """`shots` images of every class, without repetition, in all their views; the same for the same `draw`."""
    rng, y_N = np.random.default_rng([draw, shots]), train.y_N.cpu().numpy()
    picked = []
    for place, label in enumerate(classes):
        own = np.flatnonzero(y_N == place)
        if len(own) < shots:
            raise SplitError(
                "A class has fewer training images than shots.",
                found=f"{len(own)} of '{label}'",
                expected=f"at least {shots}",
                do="lower the head's shots",
            )
        picked.append(rng.choice(own, shots, replace=False))
    images = np.sort(np.concatenate(picked))
    rows = np.concatenate([images + view * len(y_N) for view in range(train.views)])
    return replace(
        train,
        x_ND=train.x_ND[torch.from_numpy(rows).to(train.x_ND.device)],
        y_N=train.y_N[torch.from_numpy(images).to(train.y_N.device)],
        image_id_N=train.image_id_N[images],
        group_N=train.group_N[images],
    )


def overlap_warnings(drawn: Sequence[NDArray[np.int64]]) -> list[str]:
    """What is to be said where few-shot draws share more than ``OVERLAP`` of their images on average over pairs.

    drawn: image_id of each draw, equally many. The mean over n of N rows that are drawn without repetition deviates by
    sqrt(1 - n / N) of what it would over n new rows (Cochran 1977, "Sampling techniques", theorem 2.2). Two draws have
    the share n / N in common.
    """
    shares = [len(np.intersect1d(one, other)) / len(one) for one, other in combinations(drawn, 2)]
    if not shares or np.mean(shares) <= OVERLAP:
        return []
    return [
        f"few-shot draws overlap: on average {np.mean(shares):.2f} of a draw's images are in another draw too, "
        f"expected at most {OVERLAP:g}; their spread says too little of other training images; lower shots, or label "
        "more images of the smallest classes"
    ]


def moments(x_ND: torch.Tensor, standardize: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of every feature, float32 (D,), summed in float64; 0 and 1 where not asked for.

    A feature that is constant has deviation 1. So has one that varies less than LEAST_DEVIATION of what features do, by
    the root of their mean variance: other images may differ from it by a million of its deviations.
    """
    if not standardize:
        return torch.zeros(x_ND.shape[1], device=x_ND.device), torch.ones(x_ND.shape[1], device=x_ND.device)
    mean_D = torch.zeros(x_ND.shape[1], dtype=torch.float64, device=x_ND.device)
    square_D = mean_D.clone()
    for start in range(0, len(x_ND), _BLOCK):
        mean_D += x_ND[start : start + _BLOCK].double().sum(0)
    mean_D /= len(x_ND)  # once, so that the mean of a constant is that constant and its deviation 0
    for start in range(0, len(x_ND), _BLOCK):
        square_D += (x_ND[start : start + _BLOCK].double() - mean_D).square_().sum(0)
    deviation_D = (square_D / len(x_ND)).sqrt()
    least = LEAST_DEVIATION * deviation_D.square().mean().sqrt()
    return mean_D.float(), torch.where(deviation_D > least, deviation_D, 1).float()


def class_weights(y_N: torch.Tensor, n_classes: int, mode: str) -> torch.Tensor:
    """Weight of every class in a loss, float32 (C,): 1, or rows / (classes × rows of the class) where balanced."""
    if mode == "none":
        return torch.ones(n_classes, device=y_N.device)
    return len(y_N) / (n_classes * torch.bincount(y_N, minlength=n_classes).clamp_min(1).float())


def row_weights(y_N: torch.Tensor, weight_C: torch.Tensor) -> torch.Tensor:
    """The weight of each row in a loss, (N,): that of its class; 1 where rows have none."""
    return weight_C[y_N] if y_N.ndim == 1 else weight_C.new_ones(len(y_N))


def score(logits: torch.Tensor, rows: Rows, figure: str) -> torch.Tensor:
    """How good logits (…, V·N, K) are by a figure of the config's ``evaluation.metric``: float64 (…).

    The higher, the better: minus the log loss, at the temperature that suits these rows best, or minus an error. NaN
    where a logit is not finite. Raises UnchokeError where the figure is not defined for these rows.
    """
    return rows.target.score(rows.target.average_views(logits, rows.views), rows.y_N, figure)
