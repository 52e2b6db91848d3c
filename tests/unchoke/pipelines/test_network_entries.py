"""Which ways to train a network are tried, what chooses them, and why some cannot be had."""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from unchoke.config.networks import Network
from unchoke.features.chunk import Extraction
from unchoke.pipelines import flags, network_entries
from unchoke.pipelines.network_entries import NetworkPipeline, network_pipelines
from unchoke.pipelines.network_work import NetworkWork
from unchoke.pipelines.table import Row
from unchoke.pipelines.work import Work
from unchoke.signed import signed_bytes

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


def row(name: str, warm_s: float, times: float, settings: dict[str, Any]) -> Row:
    """Of 100 images, with a cold epoch of 100 s and 10 s for compiling."""
    chosen = json.dumps({key: settings[key] for key in ("precision", "compile")})
    rates = {"cold_s": 100.0, "cold_images_per_s": 1.0, "warm_s": warm_s, "warm_images_per_s": 100 / warm_s}
    return Row(name, "", images=100, network=chosen, least_times=times, prepare_s=10.0, **rates)


@pytest.mark.parametrize("begins", [True, False])
def test_flags_of_the_rule_make_the_work_and_count_all_trainings(begins: bool, tmp_path: Path) -> None:
    """Of an encoder of its own with a plan of its own, or of a model that begins with random weights."""
    origin = {"encoder": "b", "blocks": 2} if begins else {"model": "small_cnn", "image_size": 48}
    settings = Network(**origin, learning_rates=[0.1, 0.2], seeds=[0, 1, 2], epochs=5).model_dump()
    own = {"image_size": 64, "precision": "float32", "store": "float32"} if begins else {}
    (tmp_path / "plan.json").write_bytes(signed_bytes({"micro_batch": 7}))
    given = {
        "kind": "folder",
        "root": "r",
        "max-pixels": "9",
        "manifest": "m",
        "weights": "w",
        "card": "c",
        "plan": "p",
    }
    given |= {"encoder": "a", "chunk-size": "16", "image-size": "32", "device": "cpu"}
    given |= {"network": json.dumps({"name": "n", "settings": settings, "encoder": own})}
    if begins:
        given |= {"network-weights": "nw", "network-card": "nc", "network-plan": str(tmp_path / "plan.json")}
    parser = argparse.ArgumentParser()
    flags.add_flags(parser)
    args = parser.parse_args([part for name, value in given.items() for part in (f"--{name}", value)])
    fixed = "folder", Path("r"), pd.DataFrame(), Path("w"), Path("c"), 32, "avg", "cpu", "float16"
    found = flags.network_work_of(args, Work(*fixed, Extraction(16, 8, 9), 2, Path("s")))
    if begins:
        assert (found.weights, found.card, found.image_size, found.pool) == (Path("nw"), Path("nc"), 64, "last2")
        assert (found.settings, found.precision) == (Extraction(16, 7, 9, store="float32"), "float32")
    else:
        assert found.settings == Extraction(16, 16, 9) and found.pixels().image_size == 48
    assert (found.name, found.network, found.threads) == ("n", settings, 2)
    default = row("n: default", 50.0, 1.0, {**settings, "compile": False})
    compiled = row("n: compiled", 40.0, 1.2, {**settings, "compile": True})
    # Of 100 images 30 epochs, of 6 trainings: 100 + 29 × 50 s by default, 2 × 6 × 10 + 100 + 29 × 40 s compiled
    table = pd.DataFrame({"split": ["train"] * 60 + ["val"] * 40 + ["test"] * 50})
    assert '"n":\n    precision: "float32"\n    compile: true' in flags.network_text(args, [default, compiled], table)
    assert flags.network_text(args, [], table) == ""
