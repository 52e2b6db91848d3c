"""What made something: the facts that tell two machines apart."""

import platform

import pytest
import torch

from unchoke.machine.releases import device_name, made_by


def test_a_maker_has_a_host_a_device_a_commit_and_releases() -> None:
    facts = made_by("cpu")
    assert facts["host"] == platform.node() and facts["torch"] == torch.__version__.split("+")[0]
    assert facts["python"] == platform.python_version()
    assert {"commit", "platform", "unchoke", "zarr", "timm"} <= set(facts)


def test_it_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = made_by("cpu")
    monkeypatch.setattr(platform, "node", lambda: "another")
    assert made_by("cpu") == first


def test_devices_have_the_names_of_the_card_or_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA GeForce GTX 1650")
    assert device_name("cuda") == "NVIDIA GeForce GTX 1650"
    assert device_name("cpu").startswith("cpu: ") and len(device_name("cpu")) > 8
