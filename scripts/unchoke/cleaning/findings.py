"""Pure: what the rules of cleaning found, one form for rules about pixels and about features; and which copy stays."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.errors import UnchokeError
from unchoke.names import SPLITS

FEATURE_RULES = ("near_in_features", "mislabelled")
"""The rules about features by name, in the order in which they are applied; they come after those about pixels."""
THRESHOLDS: dict[str, tuple[str, ...]] = {
    "near_duplicate": ("radius",),
    "label_conflict": (),
    "dark": ("mean_below",),
    "bright": ("mean_above",),
    "blank": ("deviation_below",),
    "blurred": ("sharpness_below",),
    "odd_size": ("side_below", "aspect_above", "area_factor"),
    "near_in_features": ("threshold",),
    "mislabelled": ("margin_above",),
}
"""The settings that decide how many images a rule finds. Of exact copies one stays, and unreadable images have a limit
of their own, so that these rules may drop most of train."""
FINDING_COLUMNS = {
    "image_id": int,
    "rule": str,
    "action": str,
    "cluster": int,
    "value": float,
    "other": int,
    "suggested": str,
    "nearest": str,
}

Settings = Mapping[str, Any]
"""The settings of one rule, as the config dumps them."""
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Findings:
    """What the rules found among n images."""

    frame: pd.DataFrame
    """One row an image and rule that applies, sorted by image_id, then in the order of the rules. Its columns:

    image_id, rule  which image, which rule
    action          ``drop`` where the rule drops the image, ``report`` where it does not
    cluster         smallest image_id of the copies; -1 for a rule that is not about copies
    value           for copies the Hamming distance to `other`, bits, or in features the cosine; for ``mislabelled`` the
                    margin of ``inspection.confident``; else what the rule compares: the mean, the deviation, the
                    sharpness, for ``odd_size`` the area (px); NaN where there is none
    other           the copy that stays, or would; -1 for that copy itself and for a rule that is not about copies
    suggested       the label that the features suggest; '' for all rules but ``mislabelled``
    nearest         image_id of the nearest images with that label, the nearest first, with spaces between
    """
    dropped: NDArray[np.object_]
    """The first rule that drops the image, (n,) by image_id; '' where it stays."""
    cluster: Ints
    """Smallest image_id among the copies in its split, (n,): near copies if that rule is on, else exact ones.
    -1 without copies."""


class Copies(NamedTuple):
    """Which of N images are copies of each other."""

    cluster_N: Ints
    """Place of the first copy."""
    kept_N: Ints
    """Place of the copy that stays."""


class Found(NamedTuple):
    """The F images to which a rule applies, in the order of image_id; columns as in ``Findings.frame``."""

    id_F: Ints
    may_go_F: Bools
    cluster_F: Ints
    value_F: Floats
    other_F: Ints
    suggested_F: NDArray[np.object_] | None = None
    """None: '' for all."""
    nearest_F: NDArray[np.object_] | None = None
    """None: '' for all."""


def ranks_of(split: pd.Series) -> Ints:
    """0 in test, 1 in val, 2 in train; (N,)."""
    ranks = {name: rank for rank, name in enumerate(reversed(SPLITS))}
    return np.asarray(split.map(ranks), np.int64)


def copies_of(cluster_N: Ints, rank_N: Ints) -> Copies:
    """Which copy stays: of the smallest rank, of equals the first. cluster_N: place of the first copy."""
    best_last = np.argsort(rank_N, kind="stable")[::-1]
    kept = np.empty_like(cluster_N)
    kept[cluster_N[best_last]] = best_last  # the last of several values for one place counts
    return Copies(cluster_N, kept[cluster_N])


def not_copies(id_F: Ints, value_F: Floats, may_go_F: Bools) -> Found:
    """Findings of a rule that is not about copies."""
    none_F = np.full(len(id_F), -1, dtype=np.int64)
    return Found(id_F, may_go_F, none_F, value_F, none_F)


def gathered(found: Iterable[tuple[str, Settings, Found]], n_images: int, cluster: Ints) -> Findings:
    """The findings of rules together. found: name, settings and findings of each, in the order of the rules."""
    dropped = np.full(n_images, "", dtype=object)
    parts = []
    for name, settings, one in found:
        goes_F = one.may_go_F & (settings["action"] == "drop")
        first = one.id_F[goes_F]
        dropped[first[dropped[first] == ""]] = name
        parts.append(_finding_rows(name, goes_F, one))
    return Findings(_sorted_findings(parts), dropped, cluster)


def refuse_half(found: Findings, frame: pd.DataFrame, rules: Mapping[str, Any], section: str) -> None:
    """UnchokeError where one of the rules of THRESHOLDS would drop more than half of train.

    frame: the manifest, with what is left out. rules: settings by name. section: where they stand in the config.
    """
    train = frame["image_id"][(frame["excluded"] == "") & (frame["split"] == "train")]
    goes = found.frame["rule"][(found.frame["action"] == "drop") & found.frame["image_id"].isin(train)].value_counts()
    for name, settings in THRESHOLDS.items():
        if 2 * (count := int(goes.get(name, 0))) > len(train):
            rule = f"{section}.{name}"
            beyond = ", ".join(f"{rule}.{setting} {rules[name][setting]}" for setting in settings)
            mending = f"change {rule}.{settings[0]}" if settings else "correct the labels"
            raise UnchokeError(
                f"The rule {name} would drop more than half of train.",
                found=f"{count} of {len(train)} images{f' beyond {beyond}' if beyond else ''}",
                expected="half of them at most",
                do=f"{mending}, or set {rule}.action to report and look at its findings first",
            )


def _finding_rows(name: str, goes_F: Bools, found: Found) -> pd.DataFrame:
    texts = ["" if text_F is None else text_F for text_F in (found.suggested_F, found.nearest_F)]
    action_F = np.where(goes_F, "drop", "report")
    columns = [found.id_F, name, action_F, found.cluster_F, found.value_F, found.other_F, *texts]
    return pd.DataFrame(dict(zip(FINDING_COLUMNS, columns, strict=True)), index=range(len(found.id_F)))


def _sorted_findings(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """`parts` come in the order of the rules."""
    kinds = {name: object if kind is str else kind for name, kind in FINDING_COLUMNS.items()}
    together = pd.concat([pd.DataFrame(columns=list(FINDING_COLUMNS)), *parts]).astype(kinds)
    return together.sort_values("image_id", kind="stable", ignore_index=True)
