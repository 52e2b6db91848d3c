"""How heads are ranked, as flags of the database's command."""

import pytest

from unchoke.config.evaluation import Evaluation, evaluation_flags


def test_a_leaderboard_over_further_splits_is_told_how_many_there_are():
    assert evaluation_flags(Evaluation().model_dump(), "classification", splits=5)[-1] == "--repeats=5"


@pytest.mark.parametrize(
    ("section", "task", "expected"),
    [
        ({}, "classification", ["--task=classification", "--metric=accuracy", "--specificity=0.95"]),
        (
            {"positive": "a"},
            "classification",
            ["--task=classification", "--metric=accuracy", "--specificity=0.95", "--positive=a"],
        ),
        ({"metric": "auroc", "specificity": None}, "classification", ["--task=classification", "--metric=auroc"]),
        (
            {"mask_metric": "mean_iou_in_truth", "resamples": 200, "seed": 3},
            "segmentation",
            ["--task=segmentation", "--metric=mean_iou_in_truth", "--resamples=200", "--seed=3"],
        ),
    ],
)
def test_flags_tell_what_a_task_is_ranked_by_and_no_more(section, task, expected):
    assert evaluation_flags(Evaluation(**section).model_dump(), task) == expected
