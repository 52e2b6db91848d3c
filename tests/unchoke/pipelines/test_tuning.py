"""Which settings of the encoder are tried, and which of the winners are put together."""

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from unchoke.features.chunk import Extraction
from unchoke.pipelines.entries import PIPELINES, Pipeline
from unchoke.pipelines.table import Row
from unchoke.pipelines.tuning import TOGETHER, together, variants
from unchoke.pipelines.work import Work


def work(batch: int, chunk: int, device: str = "cpu", precision: str = "float16") -> Work:
    files = Path("a"), pd.DataFrame(), Path("w"), Path("c"), 32, "avg"
    return Work("folder", *files, device, precision, Extraction(chunk, batch), 2, Path("s"), encoders=2)


@pytest.mark.parametrize(
    ("batch", "chunk", "expected"),
    [(32, 64, [8, 16, 64]), (1, 64, [2, 4]), (64, 64, [16, 32]), (48, 64, [12, 24]), (3, 100, [1, 6, 12])],
)
def test_batches_are_tried_up_to_the_chunk(batch: int, chunk: int, expected: list[int]) -> None:
    tried = [dict(each.encoder) for each in variants(work(batch, chunk))]
    assert tried == [*({"micro_batch": size} for size in expected), {"compile": "on"}]


def test_a_card_tries_each_other_precision_and_says_why_it_does_not_compile() -> None:
    card = work(64, 64, "cuda", "bfloat16")
    tried = {each.name: each for each in variants(card)}
    assert {"precision float16", "precision float32"} <= set(tried) and "precision bfloat16" not in tried
    assert tried["precision float32"].tuned(card).arithmetic == "float32" and card.arithmetic == "bfloat16"
    assert "cuda" in tried["compiled"].refusal(card)
    assert work(64, 64).arithmetic == "float32"


def row_of(pipeline: Pipeline, own: Work, rate: float) -> Row:
    keys = pipeline.keys(own)
    chosen = json.dumps(keys) if keys else "", json.dumps(pipeline.tuned(own).keys())
    rates = {"cold_images_per_s": rate, "warm_images_per_s": rate, "warm_s": 1.0, "least_times": rate / 100}
    return Row(pipeline.name, "", *chosen, prepare_s=0.0, **rates)


def test_winners_of_several_kinds_are_put_together() -> None:
    own = work(32, 64)
    pipelines = (*PIPELINES, *variants(own))

    def rows(rates: dict[str, float]) -> list[Row]:
        return [row_of(each, own, rates.get(each.name, 100.0)) for each in pipelines]

    assert together(pipelines, rows({}), 1000) is None
    assert together(pipelines, rows({"batches of 64": 150, "batches of 8": 140}), 1000) is None
    best = together(pipelines, rows({"batches of 64": 150, "batches of 8": 140, "compiled": 120}), 1000)
    assert best and best.name == TOGETHER and best.way == PIPELINES[0].way
    assert dict(best.encoder) == {"micro_batch": 64, "compile": "on"}
    best = together(pipelines, rows({"store of pixels": 300, "WebDataset": 900, "batches of 16": 150}), 1000)
    assert best and dict(best.encoder) == {"micro_batch": 16}
    assert best.keys(own) == {"input": "pixels", "jpeg_draft": False, "decoder": "pillow"}
    assert best.tuned(own).settings.micro_batch == 16


@pytest.mark.parametrize(("batch", "most"), [(8, 5), (16, 3), (32, 2), (64, 1)])
def test_larger_batches_leave_room_for_fewer_lanes(batch: int, most: int) -> None:
    """One batch of 32 beside another fits: so do four further ones of 8, and none of 64."""
    assert dataclasses.replace(work(32, 64), most_lanes=2).with_keys({"micro_batch": batch}).most_lanes == most
