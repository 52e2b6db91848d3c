"""The data for the report: results of heads, and features of encoders."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.manifest.images import in_use
from unchoke.metrics import calibration
from unchoke.names import CLASSIFICATION, REGRESSION
from unchoke.store.origin import read_origin, rounding_warnings
from unchoke.store.read import open_complete
from unchoke.store.run_record import counts_of_test, read_run, read_scores
from unchoke.store.zarr_bytes import open_group


@dataclass(frozen=True)
class HeadResults:
    """The results of a head on test, with its settings and history."""

    title: str
    """Names of the encoder and of the head."""
    facts: dict[str, Any]
    """Settings, classes, chosen, history, metrics, as the head's group has them."""
    label_N: NDArray[Any]
    """Places of classes, (N,), or numbers (N, 1), or of labels 0 and 1, (N, K)."""
    logits_RNC: NDArray[np.float32]
    image_id_N: NDArray[np.int64]
    curves: dict[str, NDArray[np.float32]]
    """train_loss and val_score (E, L, S); empty for heads that are not trained in epochs."""

    @property
    def task(self) -> str:
        """What the head predicts."""
        return str(self.facts.get("task", CLASSIFICATION))

    @property
    def number_N(self) -> NDArray[np.float64]:
        """Of a head that predicts numbers: these, the mean over the replicates."""
        return np.asarray(self.logits_RNC[..., 0].mean(0), np.float64)

    @property
    def probability_RNC(self) -> NDArray[np.float64]:
        """Calibrated."""
        return calibration.probabilities(self.logits_RNC, self.facts["temperatures"])

    @property
    def probability_NC(self) -> NDArray[np.float64]:
        """Calibrated, the mean over the replicates."""
        return np.asarray(self.probability_RNC.mean(0))

    @property
    def averaged(self) -> str:
        """A note for the mean over several replicates; empty for one."""
        count = len(self.logits_RNC)
        what = "Predictions" if self.task == REGRESSION else "Probabilities"
        return f"{what} are means over {count} seeds or draws." if count > 1 else ""


def read_head(group: Path) -> HeadResults:
    """The results of a head from its Zarr group."""
    arrays = open_group(group)
    names = [f"curves/{name}" for name in ("train_loss", "val_score")]
    facts: Any = arrays.attrs["unchoke"]
    return HeadResults(
        title=f"{group.parent.stem} · {group.name}",
        facts=facts,
        label_N=np.asarray(arrays["test_label"]),
        logits_RNC=np.asarray(arrays["test_logits"]),
        image_id_N=np.asarray(arrays["test_image_id"]),
        curves={name.split("/")[1]: np.asarray(arrays[name]) for name in names if name in arrays},
    )


@dataclass(frozen=True)
class MaskResults:
    """A mask head with its settings, history and scores."""

    title: str
    """Names of the encoder and of the head."""
    facts: dict[str, Any]
    """Settings, classes, chosen, history, as the head's group has them."""
    curves: dict[str, NDArray[np.float32]]
    """train_loss and val_iou (E, L, S)."""
    seconds: list[float]
    """From the start of training to the end of each epoch; of an interrupted one from where it went on."""
    test_counts: dict[int, NDArray[np.int64]]
    """By image_id of each fully readable test image: pixels by true and predicted class, (C, C)."""
    warnings: list[str]
    """Warnings about the feature maps that the head reads."""
    scores: dict[str, Any]
    """Of ``score_masks``; of a text head with those of ``score_text``."""


def read_mask_head(group: Path, scores: Path, run: Path, store: Path | None = None) -> MaskResults:
    """The results of a mask head from its Zarr group, the scores of its masks, and the record of its training.

    store: of the feature maps that it reads; None for a head on pixels.
    """
    arrays = open_group(group)
    facts: Any = arrays.attrs["unchoke"]
    found = read_scores(scores)
    return MaskResults(
        title=f"{group.parent.stem} · {group.name}",
        facts=facts,
        curves={name: np.asarray(arrays[f"curves/{name}"]) for name in ("train_loss", "val_iou")},
        seconds=read_run(run)["epoch_seconds"],
        test_counts={image_id: np.array(counts) for image_id, counts in counts_of_test(found).items()},
        warnings=rounding_warnings(read_origin(store)) if store else [],
        scores=found,
    )


def read_sample(
    store: Path,
    pool: str,
    manifest: pd.DataFrame,
    most: int,
    seed: int,
    *,
    train: bool = False,
    first: Sequence[int] = (),
) -> tuple[NDArray[np.float32], pd.DataFrame]:
    """Features (N, D) of at most `most` images of val and test, drawn with `seed`, and their rows of the manifest.

    train: whether images of train may be drawn too. first: image_id of those that are taken, in this order, before any
    is drawn.
    """
    features = open_complete(store)
    rows = in_use(manifest[features.valid()])
    if not train:
        rows = rows[rows["split"] != "train"]
    if len(rows) > most:
        rank_N = rows["image_id"].map({image_id: rank for rank, image_id in reversed(list(enumerate(first)))})
        taken = np.argsort(rank_N, kind="stable")[: int(rank_N.notna().sum())][:most]
        others = np.flatnonzero(rank_N.isna())
        drawn = np.random.default_rng(seed).choice(len(others), min(most - len(taken), len(others)), replace=False)
        rows = rows.iloc[np.sort(np.concatenate([taken, others[drawn]]))]
    return features.rows(pool, rows["image_id"].to_numpy()).astype(np.float32), rows
