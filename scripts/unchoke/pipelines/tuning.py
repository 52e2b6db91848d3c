"""Further rows: the default pipeline with other batches, in other precisions and compiled; and what wins together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from unchoke.encoders.compiled import why_eager
from unchoke.encoders.encoder import PRECISIONS
from unchoke.encoders.ways import ON
from unchoke.pipelines.entries import PIPELINES, Pipeline
from unchoke.pipelines.recommend import best_setting
from unchoke.pipelines.table import Row
from unchoke.pipelines.work import Work

TOGETHER = "settings together"
FACTORS = (0.25, 0.5, 2, 4)
"""Batches beside the planned one, as multiples of it."""


def variants(work: Work) -> tuple[Pipeline, ...]:
    """The default pipeline with each other setting of the encoder that this device can have."""
    return (*(_batch(size) for size in _batches(work)), *(_precision(name) for name in _precisions(work)), _COMPILED)


def _batches(work: Work) -> list[int]:
    """Other micro-batches, up to the images of a chunk: a larger one would be padded."""
    sizes = {int(factor * work.settings.micro_batch) for factor in FACTORS}
    return sorted(size for size in sizes if 1 <= size <= work.settings.chunk_size)


def _precisions(work: Work) -> list[str]:
    """Others than the config's; on processors there is one."""
    return [name for name in PRECISIONS if name != work.precision] if work.device == "cuda" else []


def _batch(size: int) -> Pipeline:
    return _of_default(f"batches of {size}", "as the first row, batches of {batch}", micro_batch=size)


def _precision(name: str) -> Pipeline:
    return _of_default(f"precision {name}", f"as the first row, arithmetic in {name}", precision=name)


def _of_default(name: str, settings: str, **keys: Any) -> Pipeline:
    return replace(PIPELINES[0], name=name, settings=settings, encoder=tuple(keys.items()))


def _eager_alone(work: Work) -> str:
    return why_eager(torch.device(work.device))


_COMPILED = replace(
    _of_default("compiled", "as the first row, compiled by torch.compile, weights frozen", compile=ON),
    needs=(_eager_alone,),
)


def together(pipelines: Sequence[Pipeline], rows: Sequence[Row], images: int) -> Pipeline | None:
    """The winners of each kind in one pipeline; None where fewer than two differ from the default.

    rows: of the pipelines, in their order. images: to be encoded, for which compiling must pay.
    """
    by_kind: dict[frozenset[str], list[int]] = {}
    for place, pipeline in enumerate(pipelines):
        by_kind.setdefault(frozenset(dict(pipeline.encoder)), []).append(place)
    best = {kind: _best([0, *places], rows, images) for kind, places in by_kind.items()}
    winners = {kind: pipelines[place] for kind, place in best.items() if place}
    if len(winners) < 2:
        return None
    keys = [key for winner in winners.values() for key in winner.encoder]
    source = winners.get(frozenset(), pipelines[0])
    settings = " + ".join(winner.name for winner in winners.values())
    return replace(source, name=TOGETHER, settings=settings, encoder=tuple(keys))


def _best(places: list[int], rows: Sequence[Row], images: int) -> int:
    """Which of some rows is recommended."""
    found = best_setting([rows[place] for place in places], images)
    return next(place for place in places if rows[place] is found)
