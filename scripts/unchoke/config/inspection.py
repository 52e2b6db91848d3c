"""The rules of cleaning that look at cached features."""

from typing import Any, Literal

from pydantic import Field

from unchoke.config.base import MAX_SEED, Section
from unchoke.config.encoders import Pool
from unchoke.config.heads import Logistic, Ridge
from unchoke.config.subset import Split

Action = Literal["report", "drop"]


class Mislabelled(Section):
    """Labels that are probably wrong: heads that did not see an image are confident of another class."""

    action: Action = "report"
    """`report`: list them. `drop`: leave them out of train and val; those in test always stay."""

    splits: list[Split] = Field(["train"], min_length=1)
    """Splits whose labels are examined, all by the same folds."""

    kind: Literal["ridge", "logistic"] = "logistic"
    """The head that gives probabilities; its penalty is chosen on val."""

    folds: int = Field(5, ge=2, le=100)
    """Parts of the images: each part is judged by a head fitted on the others. Groups and copies are never parted; a
    class needs at least as many images."""

    margin_above: float = Field(0.0, ge=0, le=1000)
    """Natural logarithm of how many times likelier the suggested class is than the given one, above which a label is
    listed: 0.7 is twice, 2.3 ten times, 4.6 a hundred times."""

    flipped: float | None = Field(0.05, gt=0, le=0.5)
    """Share of the labels that are flipped for an estimate of precision and recall, which takes as long as the rule
    itself; null: no estimate."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of the folds and of the flipped labels."""


class NearInFeatures(Section):
    """Images whose features are nearly the same: one scene taken twice, frames of one video."""

    action: Action = "report"
    """`drop` keeps one image of a cluster, chosen as among exact duplicates. Images in test always stay."""

    threshold: float | None = Field(None, gt=0, le=1)
    """Cosine of two neighbours in a cluster, at least; null: proposed from views of the same image (or from near copies
    by pixels, where the encoder has one view) against different images. The report draws both."""

    across: bool = False
    """Whether only images count whose copy is in another split: with `drop`, those in train of images in val or test
    go, and those in val of images in test."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of the sample from which the threshold is proposed."""


class FeatureRules(Section):
    """What is looked for in features; null turns a rule off. Rules about pixels come first."""

    near_in_features: NearInFeatures | None = None
    """Images with nearly the same features; `{}` turns it on."""

    mislabelled: Mislabelled | None = Mislabelled()
    """Labels that are probably wrong."""


class Shift(Section):
    """Whether val and test look like train."""

    k: int = Field(10, ge=1, le=1000)
    """The distance of an image to train is that of its k-th nearest image there, by cosine."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of the images that are drawn for the test."""


class Features(Section):
    """Rules that look at the cached features of one encoder."""

    encoder: str
    """The encoder, by its name in `encoders`; its first view is read, and its second to propose a threshold."""

    pool: Pool = "avg"
    """The pooling whose features are read; the encoder must store it."""

    shift: Shift | None = Shift()
    """Distances of images of val and test to train, and a test whether a classifier tells these splits from train;
    null: neither."""

    rules: FeatureRules = FeatureRules()
    """What is looked for, and what is done about it."""


def inspecting_heads(features: dict[str, Any], view: str) -> dict[str, dict[str, Any]]:
    """Settings of the head of `mislabelled` and of the two-sample test's. features: as the config dumps the section."""
    given: dict[str, Any] = {
        "pool": features["pool"],
        "train_views": [view],
        "test_views": [view],
        "choose_by": "log_loss",
    }
    ridge = Ridge(kind="ridge", **given).model_dump()
    is_ridge = (features["rules"]["mislabelled"] or {}).get("kind", "ridge") == "ridge"
    head = ridge if is_ridge else Logistic(kind="logistic", **given).model_dump()
    return {"head": head, "two_sample_head": ridge}
