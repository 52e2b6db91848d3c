"""Names of models, read from timm's source, are those that timm itself lists."""

import subprocess
import sys

import pytest
import timm
from timm.models import _registry

from unchoke.encoders.model_names import check_name, model_names
from unchoke.errors import UnchokeError


def test_the_names_are_those_that_timm_can_create() -> None:
    own = {name for name, made in _registry._model_entrypoints.items() if made.__module__.startswith("timm.")}
    assert model_names() == own > set(timm.list_models()) & own  # others are registered by tests


@pytest.mark.parametrize(
    "name",
    [
        "resnet50",
        "resnet50.a1_in1k",
        "convnext_tiny_in22k",  # a former name
        "qwen3_vit_306m_enc.qwen3_5_2b" if timm.is_model("qwen3_vit_306m_enc") else "resnet18",  # a tag made by a loop
        "hf-hub:somebody/something",
        "local-dir:/here",
    ],
)
def test_a_known_name_passes(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "near"),
    [("test_resnett", "test_resnet"), ("resnet50.a1_in1", "resnet50.a1_in1k"), ("efficientnetb0", "efficientnet_b0")],
)
def test_an_unknown_name_gives_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnchokeError, match=f"did you mean '{near}'"):
        check_name(name)


def test_torch_is_not_read() -> None:
    code = "import sys; from unchoke.encoders.model_names import check_name as check; check('resnet50.a1_in1k')"
    subprocess.run([sys.executable, "-c", f"{code}; assert not {{'torch', 'timm'}} & set(sys.modules)"], check=True)
