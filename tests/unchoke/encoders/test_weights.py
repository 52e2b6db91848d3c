"""Weights: untrained from a seed, from a file, or from a hub that cannot be reached."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from unchoke.encoders.cards import read_card
from unchoke.encoders.encoder import load_encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.errors import UnchokeError
from unchoke.files import json_bytes
from unchoke.hashing import sha256_bytes

MODEL = "test_vit"


def fetch(folder: Path, weights: str, model: str = MODEL, seed: int = 0) -> dict:
    return fetch_weights(model, weights, seed, folder / "w.safetensors", folder / "w.json")


def classifier_model() -> torch.nn.Module:
    torch.manual_seed(5)
    return timm.create_model(MODEL, num_classes=7)


def test_untrained_weights_are_those_of_their_seed(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    one = fetch(tmp_path, "untrained", seed=3)
    assert all(fetch(tmp_path, "untrained", seed=3) == one for _ in range(5))  # to the byte: the card has the digest
    assert fetch(tmp_path, "untrained", seed=4)["sha256"] != one["sha256"]
    assert torch.equal(torch.get_rng_state(), state)
    assert one["trained"] is False and one["source"] == "untrained, seed 3"
    torch.manual_seed(4)
    expected = timm.create_model(MODEL, num_classes=0).state_dict()
    found = load_file(tmp_path / "w.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_card_says_what_the_file_is(tmp_path: Path) -> None:
    card = fetch(tmp_path, "untrained")
    assert card["sha256"] == sha256_bytes((tmp_path / "w.safetensors").read_bytes())
    config = timm.data.resolve_model_data_config(timm.create_model(MODEL, num_classes=0))
    assert {name: tuple(v) if isinstance(v, list) else v for name, v in card["data_config"].items()} == config


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_a_file_with_a_classifier_gives_its_trunk(tmp_path: Path, ending: str) -> None:
    state, path = classifier_model().state_dict(), tmp_path / f"mine.{ending}"
    save_file(state, path) if ending == "safetensors" else torch.save(state, path)
    assert fetch(tmp_path, str(path))["trained"] is True
    found = load_file(tmp_path / "w.safetensors")
    assert set(state) - set(found) == {"head.weight", "head.bias"}
    assert all(torch.equal(found[name], state[name]) for name in found)


def test_a_file_that_runs_code_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UnchokeError, match="cannot be read"):
        fetch(tmp_path, str(tmp_path / "evil.pth"))
    assert not (tmp_path / "ran").exists()


def test_a_file_of_another_model_names_what_does_not_fit(tmp_path: Path) -> None:
    state = classifier_model().state_dict()
    state["pos_embed"] = state["pos_embed"][:, :3]
    del state["norm.bias"]
    save_file({**state, "extra": torch.ones(1)}, tmp_path / "mine.safetensors")
    with pytest.raises(UnchokeError) as error:
        fetch(tmp_path, str(tmp_path / "mine.safetensors"))
    for part in ("norm.bias is missing", "extra is not known", "pos_embed is (1, 3, 64), not (1, "):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("model", "hint"),
    [("test_vitt", "test_vit"), ("resnet50.a1_in1", "resnet50.a1_in1k"), ("efficientnetb0", "efficientnet_b0")],
)
def test_an_unknown_model_names_the_nearest(tmp_path: Path, model: str, hint: str) -> None:
    with pytest.raises(UnchokeError, match=f"did you mean '{hint}'"):
        fetch(tmp_path, "untrained", model)


def test_without_a_network_the_error_says_which_file_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UnchokeError) as error:
        fetch(tmp_path, "pretrained", "efficientnet_b0.ra_in1k")
    assert "model.safetensors of timm/efficientnet_b0.ra_in1k" in str(error.value)
    assert "weights: resources/efficientnet_b0.ra_in1k.safetensors" in str(error.value)


def test_a_model_without_pretrained_weights_is_said_to_have_none(tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match="no pretrained weights"):
        fetch(tmp_path, "pretrained", "efficientnet_b8")


def test_weights_that_are_not_those_of_their_card_are_refused(tmp_path: Path) -> None:
    fetch(tmp_path, "untrained")
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-4] + b"1234")
    with pytest.raises(UnchokeError, match="not those that their card describes"):
        load_encoder(tmp_path / "w.safetensors", tmp_path / "w.json", None, ["avg"], torch.device("cpu"), "float16")


def test_an_edited_card_is_refused(tmp_path: Path) -> None:
    weights, card = tmp_path / "w.safetensors", tmp_path / "w.json"
    fetch_weights("test_resnet", "untrained", 0, weights, card)
    content, whole = read_card(card), card.read_bytes()
    digest = json.loads(whole)["digest"]
    mean = {**content["data_config"], "mean": [0.4, 0.4, 0.4]}
    for edited in ({**content, "trained": True}, {**content, "data_config": mean}):
        card.write_bytes(json_bytes({**edited, "digest": digest}))
        with pytest.raises(
            UnchokeError, match=r"(?s)card of the weights is missing or changed.*w\.json.*w\.safetensors"
        ):
            read_card(card)
