"""Pure: the rules of cleaning: which images are doubtful, why, and which are dropped.

An image takes part if the manifest does not exclude it. A rule looks at all of these, whatever other rules have
dropped. So the order of the rules decides only which reason is shown. One of several copies stays: in test before val
before train, then the smallest image_id. No rule drops an image of test that can be read, unless it says
``drop_in_test``. Copies that stay in one split are not independent: heads resample them as one unit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.cleaning.measures import MEASURES
from unchoke.cleaning.near_duplicates import near_clusters, turned_clusters, turned_hashes
from unchoke.names import SPLITS

FINDING_COLUMNS = {"image_id": int, "rule": str, "action": str, "cluster": int, "value": float, "other": int}

Settings = Mapping[str, Any]
"""The settings of one rule, as the config dumps them."""
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Findings:
    """What the rules found among n images."""

    frame: pd.DataFrame
    """One row an image and rule that applies, sorted by image_id, then in the order of ``RULES``. Its columns:

    image_id, rule  which image, which rule
    action          ``drop`` where the rule drops the image, ``report`` where it does not
    cluster         smallest image_id of the copies; -1 for a rule that is not about copies
    value           for copies the Hamming distance to `other`, bits; else what the rule compares: the mean, the
                    deviation, the sharpness, for ``odd_size`` the area (px); NaN where there is neither
    other           the copy that stays, or would; -1 for that copy itself and for a rule that is not about copies
    """
    dropped: NDArray[np.object_]
    """The first rule that drops the image, (n,) by image_id; '' where it stays."""
    cluster: Ints
    """Smallest image_id among the copies in its split, (n,): near copies if that rule is on, else exact ones.
    -1 without copies."""


class _Copies(NamedTuple):
    """Which of N images are copies of each other."""

    cluster_N: Ints
    """Place of the first copy."""
    kept_N: Ints
    """Place of the copy that stays."""


class _Found(NamedTuple):
    """The F images to which a rule applies, in the order of image_id; columns as in ``Findings.frame``."""

    id_F: Ints
    may_go_F: Bools
    cluster_F: Ints
    value_F: Floats
    other_F: Ints


class _Images:
    """The N images that take part and can be read; a place is a number from 0 to N - 1, in the order of image_id."""

    def __init__(
        self,
        frame: pd.DataFrame,
        hashes: NDArray[np.uint64],
        measures: NDArray[np.float32],
        valid: Bools,
        near: Settings | None,
    ) -> None:
        used = (frame["excluded"] == "").to_numpy(dtype=bool)
        self.unreadable_id = np.flatnonzero(used & ~valid)
        self.id_N = np.flatnonzero(used & valid)
        rows = frame.iloc[self.id_N]
        ranks = {split: rank for rank, split in enumerate(reversed(SPLITS))}
        self.rank_N = rows["split"].map(ranks).to_numpy(dtype=np.int64)
        """0 in test, 1 in val, 2 in train."""
        self.label_N = pd.factorize(rows["label"])[0].astype(np.int64)
        self.measures = dict(zip(MEASURES, measures[self.id_N].T.astype(np.float64), strict=True))
        self._high_N, self._low_N, self._perceptual_N = hashes[self.id_N].T
        self._near = near

    @cached_property
    def exact(self) -> _Copies:
        """Images with the same digest."""
        return self._copies(_equal_clusters(self._high_N, self._low_N))

    @cached_property
    def near(self) -> _Copies:
        """Images with near perceptual hashes; an image without such a hash has only exact copies."""
        assert self._near, "the config refuses near: true without near_duplicate"
        clusters = turned_clusters if self._near["turned"] else near_clusters
        cluster_N = self.exact.cluster_N.copy()
        hashed = np.flatnonzero(self._perceptual_N)
        cluster_N[hashed] = hashed[clusters(self._perceptual_N[hashed], self._near["radius"])]
        return self._copies(cluster_N)

    def _copies(self, cluster_N: Ints) -> _Copies:
        best_last = np.argsort(self.rank_N, kind="stable")[::-1]
        kept = np.empty_like(cluster_N)
        kept[cluster_N[best_last]] = best_last  # the last of several values for one place counts
        return _Copies(cluster_N, kept[cluster_N])

    def clusters_by_split(self, n_images: int) -> Ints:
        """``Findings.cluster``."""
        copies = self.near if self._near else self.exact
        _, first_K, place_N, count_K = np.unique(
            np.stack([copies.cluster_N, self.rank_N]),
            axis=1,
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        cluster = np.full(n_images, -1, dtype=np.int64)
        cluster[self.id_N] = np.where(count_K > 1, self.id_N[first_K], -1)[place_N]
        return cluster

    def found(self, applies_N: Bools, value_N: Floats, settings: Settings) -> _Found:
        """Where a rule applies that is not about copies."""
        place_F = np.flatnonzero(applies_N)
        may_go_F = (self.rank_N[place_F] > 0) | settings["drop_in_test"]
        return _not_copies(self.id_N[place_F], value_N[place_F], may_go_F)

    def found_copies(self, applies_N: Bools, copies: _Copies) -> _Found:
        """Where a rule about copies applies."""
        place_F = np.flatnonzero(applies_N)
        kept_F = copies.kept_N[place_F]
        seen_KF = self._perceptual_N[None, place_F]
        if self._near and self._near["turned"]:
            seen_KF = turned_hashes(seen_KF[0])
        distance_F = np.bitwise_count(seen_KF ^ self._perceptual_N[kept_F]).min(0)
        return _Found(
            self.id_N[place_F],
            self.rank_N[place_F] > 0,
            self.id_N[copies.cluster_N[place_F]],
            np.where(kept_F == place_F, np.nan, distance_F),
            np.where(kept_F == place_F, -1, self.id_N[kept_F]),
        )


def find(
    frame: pd.DataFrame,
    hashes: NDArray[np.uint64],
    measures: NDArray[np.float32],
    valid: Bools,
    rules: Mapping[str, Settings | None],
) -> Findings:
    """What `rules` find among the n images of a manifest.

    frame: columns label, split and excluded of the manifest; row i is image_id i.
    hashes: uint64 (n, 3), columns ``cleaning.measures.HASHES``. measures: float32 (n, 6), columns
    ``cleaning.measures.MEASURES``.
    valid: (n,), False where the image could not be read; its hashes and measures are not looked at.
    rules: settings by the names of ``RULES``, as the section ``cleaning.rules`` of the config dumps them; one that is
    None or absent is off.
    """
    images = _Images(frame, hashes, measures, valid, rules.get("near_duplicate"))
    dropped = np.full(len(frame), "", dtype=object)
    parts = []
    for name, rule in RULES.items():
        if settings := rules.get(name):
            found = rule(images, settings)
            goes_F = found.may_go_F & (settings["action"] == "drop")
            first = found.id_F[goes_F]
            dropped[first[dropped[first] == ""]] = name
            parts.append(_finding_rows(name, goes_F, found))
    return Findings(_sorted_findings(parts), dropped, images.clusters_by_split(len(frame)))


def class_balance(frame: pd.DataFrame, dropped: NDArray[np.object_]) -> pd.DataFrame:
    """Images before and after cleaning by split and label; images that the manifest excludes count in neither.

    frame, dropped: as for ``find`` and of it. Returns the columns split, label, before and after, in the order of
    ``SPLITS``, then of the labels.
    """
    used = (frame["excluded"] == "").to_numpy(dtype=bool)
    rows = frame.loc[used, ["split", "label"]].assign(before=1, after=(dropped[used] == "").astype(np.int64))
    counts = rows.groupby(["split", "label"], as_index=False, sort=True).sum()
    return counts.sort_values("split", key=lambda split: split.map(SPLITS.index), kind="stable", ignore_index=True)


def _unreadable(images: _Images, settings: Settings) -> _Found:
    """Images that could not be read; they have no copies and no measures."""
    n_found = len(images.unreadable_id)
    return _not_copies(images.unreadable_id, np.full(n_found, np.nan), np.ones(n_found, dtype=bool))


def _exact_duplicate(images: _Images, settings: Settings) -> _Found:
    """Images with the same digest as another, except the one that stays."""
    return images.found_copies(images.exact.kept_N != np.arange(len(images.id_N)), images.exact)


def _near_duplicate(images: _Images, settings: Settings) -> _Found:
    """Images of a near cluster whose pixels differ from the kept image; so exact copies are not reported here.

    The clusters are connected components: `other` may be farther than the radius.
    """
    exact_N = images.exact.cluster_N
    return images.found_copies(exact_N != exact_N[images.near.kept_N], images.near)


def _label_conflict(images: _Images, settings: Settings) -> _Found:
    """All copies in a cluster with different labels, the kept image included."""
    copies = images.near if settings["near"] else images.exact
    first_N = images.label_N[copies.cluster_N]
    in_conflict = np.zeros(len(images.id_N), dtype=bool)
    in_conflict[copies.cluster_N[images.label_N != first_N]] = True
    return images.found_copies(in_conflict[copies.cluster_N], copies)


def _leak(images: _Images, settings: Settings) -> _Found:
    """Copies in train of images in val or test, and copies in val of images in test."""
    copies = images.near if settings["near"] else images.exact
    return images.found_copies(images.rank_N > images.rank_N[copies.kept_N], copies)


def _dark(images: _Images, settings: Settings) -> _Found:
    mean_N = images.measures["mean"]
    return images.found(mean_N < settings["mean_below"], mean_N, settings)


def _bright(images: _Images, settings: Settings) -> _Found:
    mean_N = images.measures["mean"]
    return images.found(mean_N > settings["mean_above"], mean_N, settings)


def _blank(images: _Images, settings: Settings) -> _Found:
    deviation_N = images.measures["deviation"]
    return images.found(deviation_N < settings["deviation_below"], deviation_N, settings)


def _blurred(images: _Images, settings: Settings) -> _Found:
    sharpness_N = images.measures["sharpness"]
    return images.found(sharpness_N < settings["sharpness_below"], sharpness_N, settings)


def _odd_size(images: _Images, settings: Settings) -> _Found:
    """Compared with the median area of all images that take part and can be read."""
    width_N, height_N = images.measures["width"], images.measures["height"]
    shorter_N, longer_N = np.minimum(width_N, height_N), np.maximum(width_N, height_N)
    area_N, factor = width_N * height_N, settings["area_factor"]
    median = np.median(area_N) if len(area_N) else 0.0
    odd_N = (shorter_N < settings["side_below"]) | (longer_N > settings["aspect_above"] * shorter_N)
    return images.found(odd_N | (area_N > factor * median) | (area_N * factor < median), area_N, settings)


RULES: dict[str, Callable[[_Images, Settings], _Found]] = {
    "unreadable": _unreadable,
    "exact_duplicate": _exact_duplicate,
    "near_duplicate": _near_duplicate,
    "label_conflict": _label_conflict,
    "leak": _leak,
    "dark": _dark,
    "bright": _bright,
    "blank": _blank,
    "blurred": _blurred,
    "odd_size": _odd_size,
}
"""The rules by name; the first one that drops an image gives the reason."""


def _equal_clusters(high_N: NDArray[np.uint64], low_N: NDArray[np.uint64]) -> Ints:
    """The first place of each pair of words."""
    by_digest = np.lexsort((low_N, high_N))  # stable: equal ones keep their order
    high_N, low_N = high_N[by_digest], low_N[by_digest]
    starts = np.ones(len(by_digest), dtype=bool)
    starts[1:] = (high_N[1:] != high_N[:-1]) | (low_N[1:] != low_N[:-1])
    cluster_N = np.empty(len(by_digest), dtype=np.int64)
    cluster_N[by_digest] = by_digest[starts][np.cumsum(starts) - 1]
    return cluster_N


def _not_copies(id_F: Ints, value_F: Floats, may_go_F: Bools) -> _Found:
    none_F = np.full(len(id_F), -1, dtype=np.int64)
    return _Found(id_F, may_go_F, none_F, value_F, none_F)


def _finding_rows(name: str, goes_F: Bools, found: _Found) -> pd.DataFrame:
    columns = [found.id_F, name, np.where(goes_F, "drop", "report"), found.cluster_F, found.value_F, found.other_F]
    return pd.DataFrame(dict(zip(FINDING_COLUMNS, columns, strict=True)), index=range(len(found.id_F)))


def _sorted_findings(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """`parts` come in the order of the rules."""
    kinds = {name: object if kind is str else kind for name, kind in FINDING_COLUMNS.items()}
    together = pd.concat([pd.DataFrame(columns=list(FINDING_COLUMNS)), *parts]).astype(kinds)
    return together.sort_values("image_id", kind="stable", ignore_index=True)
