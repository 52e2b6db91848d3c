"""Pure: the rules of cleaning: which images are doubtful, why, and which are dropped.

An image takes part if the manifest does not exclude it. A rule looks at all of these, whatever other rules have
dropped. So the order of the rules decides only which reason is shown. One of several copies stays: in test before val
before train, then the smallest image_id. No rule drops an image of test that can be read, unless it says
``drop_in_test``. Copies that stay in one split are not independent: heads resample them as one unit.
"""

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from unchoke.cleaning.findings import (
    Bools,
    Copies,
    Findings,
    Floats,
    Found,
    Ints,
    Settings,
    copies_of,
    gathered,
    not_copies,
    ranks_of,
)
from unchoke.cleaning.measures import MEASURES
from unchoke.cleaning.near_duplicates import near_clusters, turned_clusters, turned_hashes
from unchoke.names import SPLITS


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
        self.rank_N = ranks_of(rows["split"])
        """0 in test, 1 in val, 2 in train."""
        self.label_N = pd.factorize(rows["label"])[0].astype(np.int64)
        self.measures = dict(zip(MEASURES, measures[self.id_N].T.astype(np.float64), strict=True))
        self._high_N, self._low_N, self._perceptual_N = hashes[self.id_N].T
        self._near = near

    @cached_property
    def exact(self) -> Copies:
        """Images with the same digest."""
        return copies_of(_equal_clusters(self._high_N, self._low_N), self.rank_N)

    @cached_property
    def near(self) -> Copies:
        """Images with near perceptual hashes; an image without such a hash has only exact copies."""
        assert self._near, "the config refuses near: true without near_duplicate"
        clusters = turned_clusters if self._near["turned"] else near_clusters
        cluster_N = self.exact.cluster_N.copy()
        hashed = np.flatnonzero(self._perceptual_N)
        cluster_N[hashed] = hashed[clusters(self._perceptual_N[hashed], self._near["radius"])]
        return copies_of(cluster_N, self.rank_N)

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

    def found(self, applies_N: Bools, value_N: Floats, settings: Settings) -> Found:
        """Where a rule applies that is not about copies."""
        place_F = np.flatnonzero(applies_N)
        may_go_F = (self.rank_N[place_F] > 0) | settings["drop_in_test"]
        return not_copies(self.id_N[place_F], value_N[place_F], may_go_F)

    def found_copies(self, applies_N: Bools, copies: Copies) -> Found:
        """Where a rule about copies applies."""
        place_F = np.flatnonzero(applies_N)
        kept_F = copies.kept_N[place_F]
        seen_KF = self._perceptual_N[None, place_F]
        if self._near and self._near["turned"]:
            seen_KF = turned_hashes(seen_KF[0])
        distance_F = np.bitwise_count(seen_KF ^ self._perceptual_N[kept_F]).min(0)
        return Found(
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
    found = [(name, settings, rule(images, settings)) for name, rule in RULES.items() if (settings := rules.get(name))]
    return gathered(found, len(frame), images.clusters_by_split(len(frame)))


def class_balance(frame: pd.DataFrame, dropped: NDArray[np.object_]) -> pd.DataFrame:
    """Images before and after cleaning by split and label; images that the manifest excludes count in neither.

    frame, dropped: as for ``find`` and of it. Returns the columns split, label, before and after, in the order of
    ``SPLITS``, then of the labels.
    """
    used = (frame["excluded"] == "").to_numpy(dtype=bool)
    rows = frame.loc[used, ["split", "label"]].assign(before=1, after=(dropped[used] == "").astype(np.int64))
    counts = rows.groupby(["split", "label"], as_index=False, sort=True).sum()
    return counts.sort_values("split", key=lambda split: split.map(SPLITS.index), kind="stable", ignore_index=True)


def _unreadable(images: _Images, settings: Settings) -> Found:
    """Images that could not be read; they have no copies and no measures."""
    n_found = len(images.unreadable_id)
    return not_copies(images.unreadable_id, np.full(n_found, np.nan), np.ones(n_found, dtype=bool))


def _exact_duplicate(images: _Images, settings: Settings) -> Found:
    """Images with the same digest as another, except the one that stays."""
    return images.found_copies(images.exact.kept_N != np.arange(len(images.id_N)), images.exact)


def _near_duplicate(images: _Images, settings: Settings) -> Found:
    """Images of a near cluster whose pixels differ from the kept image; so exact copies are not reported here.

    The clusters are connected components: `other` may be farther than the radius.
    """
    exact_N = images.exact.cluster_N
    return images.found_copies(exact_N != exact_N[images.near.kept_N], images.near)


def _label_conflict(images: _Images, settings: Settings) -> Found:
    """All copies in a cluster with different labels, the kept image included."""
    copies = images.near if settings["near"] else images.exact
    first_N = images.label_N[copies.cluster_N]
    in_conflict = np.zeros(len(images.id_N), dtype=bool)
    in_conflict[copies.cluster_N[images.label_N != first_N]] = True
    return images.found_copies(in_conflict[copies.cluster_N], copies)


def _leak(images: _Images, settings: Settings) -> Found:
    """Copies in train of images in val or test, and copies in val of images in test."""
    copies = images.near if settings["near"] else images.exact
    return images.found_copies(images.rank_N > images.rank_N[copies.kept_N], copies)


def _dark(images: _Images, settings: Settings) -> Found:
    mean_N = images.measures["mean"]
    return images.found(mean_N < settings["mean_below"], mean_N, settings)


def _bright(images: _Images, settings: Settings) -> Found:
    mean_N = images.measures["mean"]
    return images.found(mean_N > settings["mean_above"], mean_N, settings)


def _blank(images: _Images, settings: Settings) -> Found:
    deviation_N = images.measures["deviation"]
    return images.found(deviation_N < settings["deviation_below"], deviation_N, settings)


def _blurred(images: _Images, settings: Settings) -> Found:
    sharpness_N = images.measures["sharpness"]
    return images.found(sharpness_N < settings["sharpness_below"], sharpness_N, settings)


def _odd_size(images: _Images, settings: Settings) -> Found:
    """Compared with the median area of all images that take part and can be read."""
    width_N, height_N = images.measures["width"], images.measures["height"]
    shorter_N, longer_N = np.minimum(width_N, height_N), np.maximum(width_N, height_N)
    area_N, factor = width_N * height_N, settings["area_factor"]
    median = np.median(area_N) if len(area_N) else 0.0
    odd_N = (shorter_N < settings["side_below"]) | (longer_N > settings["aspect_above"] * shorter_N)
    return images.found(odd_N | (area_N > factor * median) | (area_N * factor < median), area_N, settings)


RULES: dict[str, Callable[[_Images, Settings], Found]] = {
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
