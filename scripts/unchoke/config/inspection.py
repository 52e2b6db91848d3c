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

    margin_above: float = Field(0.0, ge=0, lt=1)
    """Probability of the suggested class less that of the given one, above which a label is listed."""

    flipped: float | None = Field(0.05, gt=0, le=0.5)
    """Share of the labels that are flipped for an estimate of precision and recall, which takes as long as the rule
    itself; null: no estimate."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of the folds and of the flipped labels."""


class FeatureRules(Section):
    """What is looked for in features; null turns a rule off. Rules about pixels come first."""

    mislabelled: Mislabelled | None = Mislabelled()
    """Labels that are probably wrong."""


class Features(Section):
    """Rules that look at the cached features of one encoder."""

    encoder: str
    """The encoder, by its name in `encoders`; its first view is read."""

    pool: Pool = "avg"
    """The pooling whose features are read; the encoder must store it."""

    rules: FeatureRules = FeatureRules()
    """What is looked for, and what is done about it."""


def inspecting_head(features: dict[str, Any], view: str) -> dict[str, Any]:
    """Settings of the head of `mislabelled`. features: as the config dumps the section; view: that is read."""
    kind = (features["rules"]["mislabelled"] or {}).get("kind", "ridge")
    given: dict[str, Any] = {
        "kind": kind,
        "pool": features["pool"],
        "train_views": [view],
        "test_views": [view],
        "choose_by": "log_loss",
    }
    return (Ridge if kind == "ridge" else Logistic)(**given).model_dump()
