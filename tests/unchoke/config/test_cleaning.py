"""Rules about features find their encoder, and heads know whether they depend on them."""

from typing import Any

import pytest
from small_configs import image_config

from unchoke.config.cleaning import all_rules, features_drop
from unchoke.errors import UnchokeError


def features_of(**mislabelled: Any) -> dict[str, Any]:
    return {"features": {"encoder": "b0", "rules": {"mislabelled": mislabelled}}}


def test_rules_about_features_come_behind_those_about_pixels() -> None:
    rules = all_rules(image_config(cleaning=features_of(folds=7))["cleaning"])
    assert (rules["mislabelled"] or {})["folds"] == 7
    assert list(rules).index("mislabelled") > list(rules).index("odd_size")
    assert "mislabelled" not in all_rules(image_config()["cleaning"])


def test_heads_depend_on_rules_that_drop_alone() -> None:
    assert features_drop(image_config(cleaning=features_of(action="drop"))["cleaning"])
    assert not features_drop(image_config(cleaning=features_of())["cleaning"])
    assert not features_drop(image_config()["cleaning"])
    assert not features_drop(None)


@pytest.mark.parametrize(
    ("features", "repeats", "problem"),
    [
        ({"encoder": "b1"}, 1, r"cleaning\.features\.encoder: no encoder 'b1': did you mean 'b0'"),
        ({"encoder": "b0", "pool": "cls"}, 1, r"cleaning\.features\.pool: encoders\.b0\.pools has only"),
        ({"encoder": "b0", "rules": {"mislabelled": {"action": "drop"}}}, 2, "action drop: .* missing in test"),
        ({"encoder": "b0", "rules": {"mislabelled": {"folds": 1}}}, 1, "folds"),
        ({"encoder": "b0", "rules": {"mislabeled": {}}}, 1, "did you mean 'mislabelled'"),
    ],
)
def test_features_that_cannot_be_inspected_are_named(features: dict[str, Any], repeats: int, problem: str) -> None:
    dataset = {"name": "few", "kind": "folder", "path": "images", "split": {"repeats": repeats}}
    with pytest.raises(UnchokeError, match=problem):
        image_config(dataset=dataset, cleaning={"features": features})
