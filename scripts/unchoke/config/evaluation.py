"""How sure the figures of heads are."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from unchoke.config.base import MAX_SEED, Section
from unchoke.names import CLASSIFICATION, IMAGE_TASKS, MULTILABEL, REGRESSION

Metric = Literal[
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "auroc",
    "average_precision",
    "log_loss",
    "micro_f1",
    "mae",
    "r2",
    "spearman",
]
METRICS_OF: dict[str, tuple[str, ...]] = {
    CLASSIFICATION: ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision", "log_loss"),
    REGRESSION: ("mae", "r2", "spearman"),
    MULTILABEL: ("average_precision", "auroc", "macro_f1", "micro_f1"),
}
"""The figures that may rank heads, by what these predict; the first is the default."""


class Evaluation(Section):
    """How sure the figures are."""

    metric: Metric = "accuracy"
    """Images: the figure that chooses a head's setting on val, ranks heads and compares them. `average_precision`: of
    two classes that of `positive`, of more the mean of each against the rest. `log_loss`: at the temperature that suits
    val; the lower, the better. With `dataset.target: regression` one of `mae`, the default, `r2` and `spearman`; with
    `multilabel` one of `average_precision`, the default, `auroc`, `macro_f1` and `micro_f1`."""

    resamples: int = Field(1000, ge=100, le=100_000)
    """Bootstrap resamples of the test images (of their groups, where they have some) by which mask heads are compared;
    at most 100,000, beyond which the ends of an interval no longer move."""

    mask_metric: Literal["mean_iou", "mean_iou_in_truth"] = "mean_iou"
    """Masks: the figure that chooses a head's setting on val, ranks heads and compares them, of all pixels of a split
    together. `mean_iou`: over the classes in the truth or predicted, as torchmetrics has it. `mean_iou_in_truth`: over
    those in the truth alone. Both, and their means over images, are always reported."""

    hd95: bool = False
    """Masks: report the 95th percentile of Hausdorff's distance of each class as well, px: the mean over the images
    whose truth and prediction have the class. Whole masks lie in memory: images above 67 million pixels are refused."""

    specificity: float | None = Field(0.95, gt=0, lt=1)
    """Images of two classes: the threshold is the least that gives this specificity on val; sensitivity and the
    specificity that is reached are then read on test. null: neither is reported."""

    positive: str | None = None
    """Images of two classes: the one whose average precision and sensitivity are reported. null: the second in their
    order, which is that of their names, as in scikit-learn. Numbers in quotes. The AUROC is the same for either. Heads
    that are chosen by average precision are trained anew for another one."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of the resamples."""


def evaluation_flags(evaluation: Mapping[str, Any], task: str, *, splits: int = 1) -> list[str]:
    """How heads are ranked and compared, and at which specificity those of two classes are read, as flags.

    evaluation: the section as the config dumps it. task: of the heads. splits: on which heads are trained.
    """
    flags: dict[str, Any]
    if task not in IMAGE_TASKS:
        metric = evaluation["mask_metric"] if task == "segmentation" else "h_mean"
        flags = {"task": task, "metric": metric}
        flags |= {key: evaluation[key] for key in ("resamples", "seed")}
    else:
        flags = {"task": task}
        asked = ("metric", "specificity", "positive") if task == CLASSIFICATION else ("metric",)
        flags |= {key: evaluation[key] for key in asked}
        flags |= {"repeats": splits} if splits > 1 else {}
    return [f"--{key}={value}" for key, value in flags.items() if value is not None]
