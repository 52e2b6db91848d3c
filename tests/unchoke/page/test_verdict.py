"""The verdict in one sentence."""

import pytest

from unchoke.page.verdict import verdict


def row_of(head, *, metric="accuracy", task="classification", is_best=0, **other):
    row = {"head": head, "encoder": "b0", "metric": metric, "task": task, "is_best": is_best, "test_images": 1200}
    ends = {"test_low": 0.875, "test_high": 0.9375, "difference_low": -0.05, "difference_high": 0.0124}
    return {**row, "test": 0.9, "difference": -0.025, "told_apart": 0, **ends, **other}


def said(rows, floor=None):
    return verdict(rows, floor).replace("\u00a0", " ").replace("\u2212", "-")


def test_accuracies_are_per_cent_beside_chance_and_the_runner_up():
    rows = [row_of("probe", is_best=1), row_of("knn"), row_of("ridge", test=0.99)]
    assert said(rows, ("ant", 0.1, 0.25)) == (
        "The best head on val, probe on b0, is right on 90.0 % of 1,200 test images (95 % interval 87.5 % to 93.8 %); "
        "always saying “ant” gives 25.0 %; the runner-up, knn on b0, differs by -2.5 points "
        "(95 % interval -5.0 points to +1.2 points, not told apart)."
    )


def test_other_metrics_keep_their_own_scale():
    masks = {"metric": "mean_iou", "task": "segmentation"}
    rows = [row_of("unet", **masks, is_best=1), row_of("linear", **masks, told_apart=1)]
    assert said(rows) == (
        "The best head on val, unet on b0, reaches mean IoU 0.900 on test (95 % interval 0.875 to 0.938); "
        "the runner-up, linear on b0, differs by -0.025 (95 % interval -0.050 to +0.012, told apart)."
    )


def test_no_interval_is_said_where_there_is_none():
    alone = row_of("probe", is_best=1, test_low=None, test_high=None)
    assert said([alone]) == (
        "The best head on val, probe on b0, is right on 90.0 % of 1,200 test images; no other head was trained."
    )
    second = row_of("knn", difference_low=None, difference_high=None)
    assert said([alone, second]).endswith("the runner-up, knn on b0, differs by -2.5 points (not told apart).")
    assert "interval" not in said([alone, row_of("knn", difference=None, difference_low=None)])


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "No head has been trained: the config names none."),
        ([row_of("unet", test=None)], "The head unet on b0 has no figure on test."),
        (
            [row_of("db", test=None, task="detection", metric="h_mean", blend="crop")],
            "H-mean on test is undefined: no word of test counts.",
        ),
    ],
)
def test_what_is_not_known_is_said(rows, expected):
    assert said(rows) == expected
