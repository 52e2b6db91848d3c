"""Stage: heads on cached features. One module a kind in ``kinds/``, each with

    fit(train, val, n_classes, settings, device, states) -> Fitted
    predict(tensors, settings, x_ND, device) -> logits_NC

where `predict` needs the tensors of the checkpoint alone, and `states` is the folder of ``training.resume``'s files.
"""

import importlib
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke import versions
from unchoke.hashing import sha256_bytes
from unchoke.heads.rows import Rows, draw_shots, overlap_warnings, split_rows
from unchoke.heads.targets import target_of
from unchoke.metrics.classification import LOWER_IS_BETTER
from unchoke.metrics.evaluation import Figure, known_or_none, plain_figures
from unchoke.metrics.grids import choice_text, grid_edges
from unchoke.names import REGRESSION
from unchoke.store import chunks
from unchoke.store.read import FeatureStore
from unchoke.store.run_record import task_of_labels, write_results


@dataclass(frozen=True)
class Fitted:
    """A head after its fit on train and its choice on val."""

    replicates: list[dict[str, torch.Tensor]]
    """Tensors of the checkpoint: one head for each seed or few-shot draw."""
    chosen: dict[str, Any]
    """The best setting on val."""
    history: dict[str, list[Any]]
    """One entry for each setting."""
    curves: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Figures of each epoch, for heads trained in epochs: (epochs, settings, seeds)."""
    before_refit: list[dict[str, torch.Tensor]] | None = None
    """Heads fitted on train alone, where `replicates` have seen val too; figures of val come from these."""
    warnings: list[str] = field(default_factory=list)
    """Limits of the fit that a reader must know, such as an optimum that was not reached."""

    @property
    def choice(self) -> str:
        """The chosen setting in words, marked where it lies at the edge of its grid."""
        return choice_text(self.chosen, grid_edges(self.chosen, self.history))


@dataclass(frozen=True)
class TrainedHead:
    """A head with its results on val and, read once at the end, on test."""

    fitted: Fitted
    classes: list[str]
    rows: dict[str, Rows]
    logits_RNC: dict[str, NDArray[np.float32]]
    """Of val and test, raw; probabilities averaged over the views."""
    figures: dict[str, dict[str, Figure]]
    """Of val and test, by name of the figure."""
    temperatures: list[float]
    """Calibrate each replicate, fitted on val; for a head refitted with val, before that refit."""
    seconds: float
    """From the first feature read to the last figure."""
    failed: str = ""
    """Why the head could not be trained on a repeat of the split; then all else is empty."""
    thresholds: list[list[float]] = field(default_factory=list)
    """Of labels: for each replicate the logits from which on an image gets them, chosen on val."""


def train_head(
    features: dict[str, FeatureStore],
    manifest: pd.DataFrame,
    settings: dict[str, Any],
    device: torch.device,
    *,
    states: Path | None = None,
) -> TrainedHead:
    """Fit one head on the train rows of its pool, choose on val, and report once on test.

    features: the store of each view that the head reads. settings: a head of the config. states: folder of state
    files, from which an interrupted training goes on. Rows that the manifest excludes or the store could not read take
    no part.
    """
    started = time.perf_counter()
    if device.type == "mps":
        device = torch.device("cpu")  # sums are in float64, which mps does not have
    kind = kind_of(settings)
    classes, rows = split_rows(features, manifest, settings, device)
    target, scale = target_of(settings), target_of(settings).scale(rows["train"].y_N)
    learnt = {split: replace(part, y_N=target.inwards(part.y_N, scale)) for split, part in rows.items()}
    fitted = scores_as_figures(_fit_draws(kind, learnt, classes, settings, device, states), settings, scale)
    heads = {"val": fitted.before_refit or fitted.replicates, "test": fitted.replicates}
    logits = {split: predict(heads[split], settings, rows[split], device) for split in heads}
    return judge_head(fitted, classes, rows, logits, started)


def judge_head(
    fitted: Fitted,
    classes: list[str],
    rows: dict[str, Rows],
    logits_RNC: dict[str, NDArray[np.float32]],
    started: float,
) -> TrainedHead:
    """The figures of a fitted head on val and test, with temperatures from val.

    logits_RNC: of both splits. started: time of ``time.perf_counter`` at which the training began.
    """
    labels = {split: rows[split].y_N.cpu().numpy() for split in logits_RNC}
    target = rows["val"].target
    reading = target.read(labels["val"], logits_RNC["val"], classes)
    known = [text for part in rows.values() for text in part.warnings]
    fitted = replace(fitted, warnings=[*fitted.warnings, *known, *reading.notes])
    figures = {
        name: target.evaluate(labels[name], x_RNC, rows[name].group_N, reading) for name, x_RNC in logits_RNC.items()
    }
    seconds = time.perf_counter() - started
    found = TrainedHead(fitted, classes, rows, logits_RNC, figures, reading.temperatures, seconds)
    return replace(found, thresholds=reading.thresholds)


def kind_of(settings: dict[str, Any]) -> Any:
    """The module of a head's kind."""
    return importlib.import_module(f"unchoke.heads.kinds.{settings['kind']}")


def _fit_draws(
    kind: Any,
    rows: dict[str, Rows],
    classes: list[str],
    settings: dict[str, Any],
    device: torch.device,
    states: Path | None,
) -> Fitted:
    """The fit on all of train, or on each few-shot draw from it."""
    if settings["shots"] is None:
        return kind.fit(rows["train"], rows["val"], len(classes), settings, device, states)  # type: ignore[no-any-return]
    fits, drawn = [], []
    for draw in range(settings["draws"]):
        train = draw_shots(rows["train"], settings["shots"], draw, classes)
        drawn.append(train.image_id_N)
        fits.append(kind.fit(train, rows["val"], len(classes), settings, device, states))
    history: dict[str, list[Any]] = {"draw": []}
    for draw, fit in enumerate(fits):
        history["draw"] += [draw] * len(next(iter(fit.history.values())))
        for name, values in fit.history.items():
            history.setdefault(name, []).extend(values)
    same = {name: value for name, value in fits[0].chosen.items() if all(fit.chosen[name] == value for fit in fits)}
    chosen = {"shots": settings["shots"], **same}
    before = [replicate for fit in fits for replicate in fit.before_refit or []]
    return Fitted(
        [replicate for fit in fits for replicate in fit.replicates],
        chosen,
        history,
        before_refit=before or None,
        warnings=[
            *overlap_warnings(drawn),
            *(f"{text}, draw {draw}" for draw, fit in enumerate(fits) for text in fit.warnings),
        ],
    )


def scores_as_figures(fitted: Fitted, settings: dict[str, Any], scale: dict[str, torch.Tensor] | None = None) -> Fitted:
    """Scores as figures: the choice counts a loss as its negative, and an error in deviations of the target.

    scale: of the target, as ``heads.target`` has it, for the checkpoint.
    """
    fitted = replace(fitted, replicates=[{**tensors, **(scale or {})} for tensors in fitted.replicates])
    if settings["choose_by"] not in LOWER_IS_BETTER:
        return fitted
    name, factor = "val_score", -float(scale["target_scale"]) if scale else -1.0
    history = {**fitted.history, name: [factor * value for value in fitted.history[name]]}
    curves = {
        key: (curve * factor).astype(curve.dtype) if key == name else curve for key, curve in fitted.curves.items()
    }
    return replace(fitted, history=history, curves=curves)


def predict(
    replicates: list[dict[str, torch.Tensor]], settings: dict[str, Any], rows: Rows, device: torch.device
) -> NDArray[np.float32]:
    """Logits (R, N, C) of every replicate, the views of an image averaged, float32; or numbers, float64."""
    return np.stack([outputs_of(tensors, settings, rows.x_ND, device, rows.views) for tensors in replicates])


def outputs_of(
    tensors: dict[str, torch.Tensor], settings: dict[str, Any], x_ND: torch.Tensor, device: torch.device, views: int
) -> NDArray[Any]:
    """Outputs (N, C) of one replicate, the views of an image averaged: logits, float32, or numbers, float64."""
    target, outputs = target_of(settings), kind_of(settings).predict(tensors, settings, x_ND, device)
    found = target.outwards(target.average_views(outputs, views), tensors)
    return np.asarray((found if target.task == REGRESSION else found.float()).cpu().numpy())


def save_head(
    head: TrainedHead, features: dict[str, FeatureStore], settings: dict[str, Any], group: Path, checkpoint: Path
) -> None:
    """Write the checkpoint and the results; see ``store.run_record``."""
    first = next(iter(features.values()))
    described = {
        "version": versions.HEADS,
        "settings": settings,
        "encoder": {name: value for name, value in first.seal["settings"].items() if name != "view"},
        "features_sha256": store_digests(features),
    }
    write_head(head, described, group, checkpoint)


def store_digests(stores: dict[str, FeatureStore]) -> dict[str, str]:
    """SHA-256 of the seal of each view's store."""
    return {view: sha256_bytes(chunks.seal_file(store.path).read_bytes()) for view, store in stores.items()}


def write_head(head: TrainedHead, described: dict[str, Any], group: Path, checkpoint: Path) -> None:
    """Write a head, or a network. described: version, settings and origin, which stand in results and checkpoint."""
    described = {**described, "classes": head.classes, "temperatures": head.temperatures}
    facts = {
        "chosen": head.fitted.chosen,
        "history": {name: [known_or_none(value) for value in values] for name, values in head.fitted.history.items()},
        "metrics": {split: plain_figures(figures) for split, figures in head.figures.items()},
        "images": {split: len(rows.image_id_N) for split, rows in head.rows.items()}
        | _drawn(head, described["settings"]),
        "warnings": head.fitted.warnings,
        **task_of_labels(described["settings"]),
        **({"thresholds": head.thresholds} if head.thresholds else {}),
        **({"failed": head.failed} if head.failed else {}),
    }
    thresholds: list[Any] = head.thresholds or [None] * len(head.fitted.replicates)
    replicates = [
        tensors if one is None else {**tensors, "thresholds": torch.tensor(one, dtype=torch.float64)}
        for tensors, one in zip(head.fitted.replicates, thresholds, strict=True)
    ]
    arrays: dict[str, NDArray[Any]] = {}
    for split, logits in head.logits_RNC.items():
        rows = head.rows[split]
        arrays |= {f"{split}_logits": logits, f"{split}_label": rows.y_N.cpu().numpy()}
        arrays[f"{split}_image_id"] = rows.image_id_N
    arrays |= {f"curves/{name}": curve for name, curve in head.fitted.curves.items()}
    write_results(group, checkpoint, replicates, described, facts, arrays)


def _drawn(head: TrainedHead, settings: dict[str, Any]) -> dict[str, int]:
    """Number of training images of a few-shot head."""
    return {} if settings.get("shots") is None or head.failed else {"train": settings["shots"] * len(head.classes)}
