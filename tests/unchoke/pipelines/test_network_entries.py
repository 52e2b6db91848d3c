"""Which ways to train a network are tried, what chooses them, and why some cannot be had."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unchoke.config.networks import Network
from unchoke.features.chunk import Extraction
from unchoke.pipelines import network_entries
from unchoke.pipelines.network_entries import NetworkPipeline, network_pipelines
from unchoke.pipelines.network_work import NetworkWork

NO_CARD = "processors compute in float32"


def rows(device: str = "cpu", batch: int = 16, **settings: Any) -> tuple[NetworkWork, dict[str, NetworkPipeline]]:
    """By what follows the network's name."""
    own = {"encoder": "e", "blocks": 2, "batch_size": 64, **settings}
    network = Network(**{key: value for key, value in own.items() if value is not None}).model_dump()
    files = Path("a"), pd.DataFrame(), Path("w"), Path("c"), 32, "avg"
    fixed = "folder", *files, device, "float32", Extraction(64, 8), 2, Path("s")
    work = NetworkWork(*fixed, name="n", network=network, network_batch=batch).with_keys({})
    return work, {each.name.removeprefix("n: "): each for each in network_pipelines(work)}


def test_micro_batches_are_tried_up_to_a_step_and_are_no_setting() -> None:
    work, found = rows()
    sizes = [f"micro-batches of {size}" for size in (4, 8, 32, 64)]
    assert list(found) == [
        "default",
        *sizes,
        *("precision float16", "precision bfloat16", "compiled", "frozen part in each step", "PyTorch DataLoader"),
    ]
    assert work.pool == "last2" and json.loads(found["default"].chosen(work)["network"]) == {
        "cache": "activations",
        "precision": "float32",
        "compile": False,
    }
    for size in sizes:
        tuned = found[size].tuned(work)
        assert found[size].told(tuned) == f"{size}; no setting: the plan of a network measures it"
        assert found[size].chosen(work) == {} and f"{tuned.network_batch}" in size  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("device", "settings", "row", "reason"),
    [
        ("cpu", {}, "precision bfloat16", NO_CARD),
        ("cuda", {}, "precision bfloat16", ""),
        ("cpu", {}, "compiled", "no compiler"),
        ("cuda", {}, "compiled", "Triton"),
        ("cpu", {"compile": True}, "not compiled", ""),
        ("cpu", {"train_views": ["identity", "hflip"]}, "frozen part in each step", "pixels have augment"),
        ("cpu", {"cache": "none", "augment": ["hflip"]}, "cached activations", "augment needs pixels"),
        ("cpu", {"cache": "none", "augment": ["hflip"]}, "PyTorch DataLoader", ""),
        ("cpu", {"cache": "none"}, "cached activations", ""),
    ],
)
def test_what_cannot_be_had_says_why(
    device: str, settings: dict[str, Any], row: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_entries, "why_eager", lambda _: "there is no compiler")
    monkeypatch.setattr(network_entries, "has_triton", lambda: False)
    work, found = rows(device, **settings)
    told = found[row].refusal(work)
    assert reason in told and bool(reason) == bool(told)


def test_what_is_trained_whole_has_no_other_cache() -> None:
    work, found = rows(blocks="all")
    assert "frozen part in each step" not in found and "cached activations" not in found
    assert work.keys() == {"precision": "float32", "compile": False}
    assert found["PyTorch DataLoader"].tuned(work).keys() == work.keys()


def test_a_cut_network_decodes_files_with_its_frozen_part() -> None:
    work, found = rows()
    loader, frozen = (found[name].tuned(work) for name in ("PyTorch DataLoader", "frozen part in each step"))
    assert loader.keys() == frozen.keys() == {"cache": "none", "precision": "float32", "compile": False}


def test_one_training_has_the_middle_rate_and_no_head_to_begin_with() -> None:
    work, _ = rows(learning_rates=[1e-2, 1e-4, 1e-3], seeds=[3, 4], weight_decays=[0.1, 0.2], epochs=9)
    single = work.single
    assert [single[key] for key in ("learning_rates", "seeds", "weight_decays")] == [[1e-3], [3], [0.1]]
    assert (single["epochs"], single["start"], single["cards"]) == (2, None, 1)
