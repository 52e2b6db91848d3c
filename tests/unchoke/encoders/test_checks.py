"""What a model has not is refused before there are weights, and what it has is not."""

import time

import pytest
import torch

from unchoke.encoders.checks import check_encoder, check_encoders
from unchoke.errors import UnchokeError

# What is said of a model, image size, pools, strides; the first two show only in what the model gives.
IMPOSSIBLE = {
    r"no pool 'avg'.*its class token alone": ("pit_ti_224", None, ["cls", "avg"], []),
    r"no pool 'max'.*gives \d tensors": ("coat_tiny", None, ["head", "max"], []),
    r"no pool 'cls'.*no class token": ("test_resnet", 32, ["avg", "cls"], []),
    r"no feature map of this stride.*stride 5": ("test_resnet", 64, [], [4, 5]),
    r"cannot see this image size.*image_size 30": ("test_vit", 30, ["avg"], []),
    r"timm has no such model.*test_resnet": ("test_resnot", 32, ["avg"], []),
    r"cannot be cut before this block.*blocks: 5.*1 to 4": ("test_resnet", 32, ["avg"], [], [2, 5]),
    r"no blocks that could be trained": ("vgg11", 32, ["avg"], [], [1]),
}
POSSIBLE = [
    ("pit_ti_224", None, ["cls", "head"], []),
    ("coat_tiny", None, ["head"], []),
    ("test_resnet", 32, ["avg", "max", "head"], [], [1, 4]),
    ("test_resnet", 64, [], [4, 8, 16, 32]),
    ("test_vit", 64, ["avg", "max", "cls", "head"], []),
    ("deit_tiny_distilled_patch16_224", 96, ["avg", "cls", "head"], []),
    ("vit_small_patch14_dinov2.lvd142m", 224, ["avg", "cls", "head"], []),
    ("swin_tiny_patch4_window7_224", 96, ["avg", "max", "head"], []),
]


@pytest.mark.parametrize("said", IMPOSSIBLE)
def test_what_a_model_has_not_is_refused(said):
    with pytest.raises(UnchokeError, match=f"(?s){said}"):
        check_encoder(*IMPOSSIBLE[said])


@pytest.mark.parametrize("asked", POSSIBLE, ids=lambda asked: asked[0])
def test_what_a_model_has_is_not_refused(asked):
    check_encoder(*asked)


def test_a_model_larger_than_memory_is_asked_too():
    started = time.monotonic()
    with pytest.raises(UnchokeError, match="no class token"):
        check_encoder("convnext_xxlarge", 1024, ["avg", "cls"], [])  # 3.4 GB of weights
    assert time.monotonic() - started < 5


def test_the_encoder_is_named_and_the_others_are_looked_at_first():
    fine, wrong = ({"model": "test_resnet", "image_size": 32, "pools": pools, "strides": []} for pools in ([], ["cls"]))
    with pytest.raises(UnchokeError, match=r"^encoders\.second: The encoder has no pool 'cls'"):
        check_encoders({"first": fine, "second": wrong})


def test_a_model_that_cannot_be_asked_is_left_to_planning(monkeypatch, capsys):
    def offline(*_, **__):
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr("unchoke.encoders.checks.create_model", offline)
    check_encoders({"far": {"model": "hf-hub:a/b", "image_size": None, "pools": ["cls"], "strides": []}})
    assert "note: encoders.far is checked when its memory is planned (no route to the hub)" in capsys.readouterr().out


def test_torch_draws_the_same_numbers_after_a_check():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    check_encoder("test_resnet", 32, ["avg"], [])
    assert torch.equal(torch.rand(4), expected)
