"""Protocols by name: their numbers are the published ones, and what a head gives itself comes first."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from unchoke.config.load import load_config
from unchoke.config.presets import PRESETS, expand_preset
from unchoke.errors import UnchokeError

SCRIPTS = Path(__file__).parents[3] / "scripts"
ENCODERS = {"s": {"model": "vit_small_patch14_dinov2", "pools": ["avg", "cls"]}}
each_preset = pytest.mark.parametrize("name", PRESETS)


def loaded(**heads: dict[str, Any]) -> dict[str, Any]:
    return load_config({"encoders": ENCODERS, "heads": heads})["heads"]  # type: ignore[no-any-return]


@each_preset
def test_a_preset_is_the_settings_that_it_gives(name: str) -> None:
    head = loaded(it={"preset": name})["it"]
    assert PRESETS[name]().items() <= head.items()
    assert "preset" not in head
    assert load_config({"encoders": ENCODERS, "heads": {"it": head}})["heads"]["it"] == head


@each_preset
def test_what_a_head_gives_itself_comes_first(name: str) -> None:
    plain, own = (
        loaded(it={"preset": name, **given})["it"] for given in ({}, {"pool": "avg", "choose_by": "accuracy"})
    )
    assert (own["pool"], own["choose_by"]) == ("avg", "accuracy")
    assert {**own, "pool": plain["pool"], "choose_by": plain["choose_by"]} == plain


def test_a_list_that_is_given_replaces_the_presets() -> None:
    assert loaded(it={"preset": "knn", "k": [5]})["it"]["k"] == [5]
    assert loaded(it={"preset": "knn"})["it"]["k"] == [10, 20, 100, 200]


@each_preset
def test_a_preset_says_where_it_is_from(name: str) -> None:
    assert "arXiv:" in (PRESETS[name].__doc__ or "") or "et al." in (PRESETS[name].__doc__ or "")


# --- what is wrong


def message_of(head: dict[str, Any]) -> str:
    with pytest.raises(UnchokeError) as caught:
        loaded(it=head)
    return str(caught.value)


@pytest.mark.parametrize(("name", "nearest"), [("dinov2_liner", "dinov2_linear"), ("few_shots", "few_shot")])
def test_an_unknown_preset_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    assert f"heads.it: unknown preset '{name}': did you mean '{nearest}'?" in message_of({"preset": name})


def test_a_preset_like_none_is_answered_with_all() -> None:
    assert all(name in message_of({"preset": "xyz"}) for name in PRESETS)


def test_a_preset_of_another_kind_is_refused() -> None:
    assert "preset 'knn' is of kind 'knn', not 'linear'" in message_of({"preset": "knn", "kind": "linear"})


def test_a_misspelt_key_beside_a_preset_is_named() -> None:
    message = message_of({"preset": "knn", "temprature": 1.0})
    assert "heads.it: unknown key 'temprature': did you mean 'temperature'?" in message


# --- the published numbers


def test_dinov2s_linear_probe() -> None:
    """dinov2/eval/linear.py: 13 rates × batch / 256, 10 epochs of 1,250 steps, 8 × 128 images, SGD 0.9, no decay."""
    head = loaded(it={"preset": "dinov2_linear"})["it"]
    rates = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1]
    assert len(head["learning_rates"]) == 13
    np.testing.assert_allclose(head["learning_rates"], np.array(rates) * 8 * 128 / 256)
    assert (head["steps"], head["batch_size"], head["schedule"]) == (10 * 1250, 8 * 128, "cosine")
    assert (head["optimizer"], head["momentum"], head["weight_decays"]) == ("sgd", 0.9, [0.0])
    assert not head["standardize"]


def test_dinov2s_logistic_regression() -> None:
    """dinov2/eval/log_regression.py: 10 ** linspace(-6, 5, 45), 1,000 iterations, tolerance 1e-12, train and val."""
    head = loaded(it={"preset": "dinov2_logistic"})["it"]
    np.testing.assert_allclose(head["c"], 10.0 ** np.linspace(-6, 5, 45), rtol=1e-12)
    assert (head["max_iterations"], head["tolerance"], head["refit"]) == (1000, 1e-12, True)
    assert head["precision"] == "float64" and not head["standardize"]


def test_evas_linear_probe() -> None:
    """kaiko-ai/eva 0.4.5, configs/vision/pathology/offline/classification: AdamW 3e-4, 256, 12,500 steps, five runs.

    Patience: 1,250 passes over the 268 images of BACH, 167 over the 3,657 of BRACS and 3 over the 262,144 of
    PatchCamelyon are a fifth of the steps.
    """
    head = loaded(it={"preset": "eva_linear"})["it"]
    assert (head["schedule"], head["patience"], head["validate_every"]) == ("constant", 1250 * 2, None)
    older = loaded(it={"preset": "eva_linear_cosine"})["it"]
    assert older == {**head, "schedule": "cosine", "patience": None}
    assert (head["optimizer"], head["learning_rates"], head["batch_size"]) == ("adamw", [3e-4], 256)
    assert (head["steps"], len(set(head["seeds"]))) == (12_500, 5)
    assert (head["keep"], head["choose_by"]) == ("best", "balanced_accuracy")


def test_dinos_neighbours_and_few_shots() -> None:
    knn, few = (loaded(it={"preset": name})["it"] for name in ("knn", "few_shot"))
    assert (knn["k"], knn["temperature"], knn["pool"]) == ([10, 20, 100, 200], 0.07, "cls")
    assert (few["shots"], few["draws"], few["refit"], len(few["c"])) == (16, 10, False, 1)


# --- as YAML


@each_preset
def test_what_is_printed_loads_to_the_same_settings(name: str, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    import_module("print_preset").main([name])
    printed = capsys.readouterr().out
    heads = load_config({"encoders": ENCODERS, **yaml.safe_load(printed)})["heads"]
    assert heads == loaded(**{name: {"preset": name}})
    assert printed.startswith("# ") and len(printed.split("heads:")[0].splitlines()) > 0
    assert max(map(len, printed.splitlines())) <= 121


def test_epochs_that_are_given_are_not_beaten_by_the_steps_of_a_preset() -> None:
    assert (expand_preset({"preset": "eva_linear", "epochs": 5})).get("steps") is None
    assert expand_preset({"preset": "eva_linear", "epochs": 5, "steps": 7})["steps"] == 7


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ({"kind": "logistic", "shots": 5, "refit": True}, "refit would train on all of val"),
        ({"preset": "dinov2_logistic", "shots": 5}, "refit would train on all of val"),
        ({"kind": "linear", "draws": 3}, "draws has no meaning without shots"),
        ({"preset": ["knn"]}, "unknown preset"),
    ],
    ids=["refit", "refit of a preset", "draws", "a list"],
)
def test_settings_that_do_not_go_together_are_refused(head: dict, reason: str) -> None:
    with pytest.raises(UnchokeError, match=reason):
        load_config({"heads": {"one": head}})
