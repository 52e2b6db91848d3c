"""What the config says of heads that predict numbers or several labels."""

from typing import Any

import pytest

from unchoke.config.evaluation import METRICS_OF, evaluation_flags
from unchoke.config.load import load_config
from unchoke.errors import UnchokeError
from unchoke.metrics.influences import FIGURES
from unchoke.targets.heads import head_settings

TARGETS = ["regression", "multilabel"]


def config(target: str, dataset: dict[str, Any] | None = None, **sections: Any) -> dict[str, Any]:
    given = {"name": "a", "kind": "csv", "path": "a.csv", "target": target, **(dataset or {})}
    return load_config({"dataset": given, **sections})


def test_the_figures_of_the_config_are_those_that_are_computed() -> None:
    assert {task: set(names) for task, names in METRICS_OF.items()} == {task: set(FIGURES[task]) for task in FIGURES}


@pytest.mark.parametrize(("target", "metric"), [("regression", "mae"), ("multilabel", "average_precision")])
def test_heads_and_metric_have_defaults_of_the_target(target: str, metric: str) -> None:
    found = config(target)
    assert [head["kind"] for head in found["heads"].values()] == ["ridge", "linear", "mlp", "knn"]
    assert {head["choose_by"] for head in found["heads"].values()} == {metric} == {found["evaluation"]["metric"]}
    assert head_settings(found, "ridge")["task"] == target
    assert evaluation_flags(found["evaluation"], target) == [f"--task={target}", f"--metric={metric}"]


def test_settings_of_heads_that_predict_classes_say_nothing_of_a_task() -> None:
    assert "task" not in head_settings(load_config({}), "ridge")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"dataset": {"kind": "folder"}}, "dataset"),
        ({"heads": {"a": {"kind": "logistic"}}}, "heads.a"),
        ({"heads": {"a": {"kind": "centroid"}}}, "heads.a"),
        ({"heads": {"a": {"kind": "ridge", "class_weights": "balanced"}}}, "heads.a.class_weights"),
        ({"heads": {"a": {"kind": "mlp", "label_smoothing": 0.1}}}, "heads.a.label_smoothing"),
        ({"heads": {"a": {"kind": "ridge", "shots": 3}}}, "heads.a.shots"),
        ({"heads": {"a": {"kind": "ridge", "choose_by": "accuracy"}}}, "heads.a.choose_by"),
        ({"evaluation": {"metric": "log_loss"}}, "evaluation.metric"),
        ({"evaluation": {"positive": "a"}}, "evaluation.positive"),
        ({"networks": {"n": {"encoder": "lite0"}}}, "networks"),
        ({"subset": {"per_class": 3}}, "subset"),
        ({"dataset": {"split": {"repeats": 2}}}, "dataset.split.repeats"),
        ({"cleaning": {"features": {"encoder": "lite0"}}}, "cleaning.features.rules.mislabelled"),
    ],
)
def test_what_is_for_classes_is_refused(target: str, sections: dict[str, Any], named: str) -> None:
    with pytest.raises(UnchokeError) as error:
        config(target, **sections)
    assert str(error.value).splitlines()[1].startswith(f"  - {named}")
    assert target in str(error.value) or "take one of" in str(error.value)


def test_figures_of_numbers_are_refused_for_classes() -> None:
    with pytest.raises(UnchokeError, match="choose_by mae of a"):
        load_config({"heads": {"a": {"kind": "ridge", "choose_by": "mae"}}})


@pytest.mark.parametrize("target", TARGETS)
def test_rules_about_near_images_are_allowed(target: str) -> None:
    rules = {"near_in_features": {}, "mislabelled": None}
    assert config(target, cleaning={"features": {"encoder": "lite0", "rules": rules}})["cleaning"]["features"]
