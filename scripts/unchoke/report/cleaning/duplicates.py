"""The largest clusters of duplicates, as pictures: which copy stays, which go, and where labels or splits differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from unchoke.report.cleaning.contact_sheets import KEPT, Tile, add_legend, draw_tiles, place_of
from unchoke.report.cleaning.findings import DROPPED, REPORTED, dropped_ids, rules_on
from unchoke.report.style import COLOURS, new_figure, note_figure, plain, styled

MOST_CLUSTERS = 8
MOST_COPIES = 8
EXACT, NEAR, ALIKE = "the same pixels", "nearly the same pixels", "nearly the same features"
_NAMED = 4


@dataclass(frozen=True)
class Cluster:
    """Images that are copies of each other."""

    kind: str
    """EXACT, NEAR or ALIKE."""
    images: pd.DataFrame
    """image_id, path, label, split, state (DROPPED, KEPT, REPORTED); the kept one first, then by id."""


def largest_clusters(
    findings: pd.DataFrame,
    manifest: pd.DataFrame,
    rules: Mapping[str, Any],
    most: int = MOST_CLUSTERS,
) -> list[Cluster]:
    """At most `most` clusters, the largest first, of equals that of the smallest id; half of them exact copies.

    A quarter are alike in features. Where there are fewer clusters of one kind, there is more room for the others.
    findings: the columns of tables.FINDING_COLUMNS. manifest: image_id, path, label, split. rules: settings by name,
    None where off.
    """
    members = _members(findings, rules)
    found: dict[str, list[pd.DataFrame]] = {}
    for kind in (EXACT, NEAR, ALIKE):
        of_kind = members[members["kind"] == kind]
        sizes = of_kind.groupby("cluster").size().sort_values(ascending=False, kind="stable")
        found[kind] = [of_kind[of_kind["cluster"] == cluster] for cluster in sizes.index[:most]]
    alike = found[ALIKE][: max(most // 4, most - len(found[EXACT]) - len(found[NEAR]))]
    most -= len(alike)
    room = max(most // 2, most - len(found[NEAR]))
    chosen = [(EXACT, one) for one in found[EXACT][:room]]
    chosen += [(NEAR, one) for one in found[NEAR][: most - len(chosen)]]
    chosen += [(ALIKE, one) for one in alike]
    return [Cluster(kind, _with_states(one, manifest, dropped_ids(findings))) for kind, one in chosen]


def count_clusters(findings: pd.DataFrame, rules: Mapping[str, Any]) -> dict[str, int]:
    """How many clusters there are of each kind; as for ``largest_clusters``."""
    numbers = _members(findings, rules).groupby("kind")["cluster"].nunique()
    return {kind: int(numbers.get(kind, 0)) for kind in (EXACT, NEAR, ALIKE)}


def _members(findings: pd.DataFrame, rules: Mapping[str, Any]) -> pd.DataFrame:
    """kind, cluster, image_id, kept: a row for every image of every cluster, those that no rule finds included."""
    paired = findings[findings["cluster"] >= 0]
    kinds = {rule: NEAR if rule == "near_duplicate" or rules[rule].get("near") else EXACT for rule in rules_on(rules)}
    kinds["near_in_features"] = ALIKE
    found = paired[["cluster", "image_id"]].assign(kind=paired["rule"].map(kinds), kept=False)
    others = found.assign(image_id=paired["other"], kept=True)[paired["other"] >= 0]
    both = pd.concat([others, found]).drop_duplicates(["kind", "cluster", "image_id"])
    return _with_several_pictures(both).sort_values(["kind", "cluster", "image_id"])


def _with_several_pictures(members: pd.DataFrame) -> pd.DataFrame:
    """Without near clusters that hold nothing but exact copies, which are shown as such."""
    exact = members[members["kind"] == EXACT].set_index("image_id")["cluster"]
    picture = members["image_id"].map(exact).fillna(members["image_id"])
    pictures = picture.groupby([members["kind"], members["cluster"]]).transform("nunique")
    return members[(members["kind"] == EXACT) | (pictures > 1)]


def _with_states(members: pd.DataFrame, manifest: pd.DataFrame, dropped: set[int]) -> pd.DataFrame:
    images = members.merge(manifest[["image_id", "path", "label", "split"]], on="image_id", validate="1:1")
    stays = images["kept"].map({True: KEPT, False: REPORTED})
    images["state"] = stays.mask(images["image_id"].isin(dropped), DROPPED)
    order = images["state"].map({KEPT: 0}).fillna(1)
    return images.assign(order=order).sort_values(["order", "image_id"], ignore_index=True).drop(columns="order")


def shown(images: pd.DataFrame, most: int = MOST_COPIES) -> pd.DataFrame:
    """At most `most` copies of a cluster: first one of each label and split, so that what differs can be seen."""
    turn = images.groupby(["label", "split"]).cumcount()
    taken = turn.sort_values(kind="stable").index[:most].sort_values()
    return images.loc[taken]


def heading(cluster: Cluster) -> str:
    """How many copies there are, and whether they have several labels or lie in several splits."""
    count = len(cluster.images)
    cut = f", {MOST_COPIES} shown" if count > MOST_COPIES else ""
    parts = [f"{count:,} images with {cluster.kind}{cut}"]
    for column, problem in (("label", "labels differ"), ("split", "in several splits")):
        counts = cluster.images[column].value_counts().sort_index().sort_values(ascending=False, kind="stable")
        if len(counts) > 1:
            names = [f"{plain(str(name), 16)} ({n:,})" for name, n in counts.iloc[:_NAMED].items()]
            parts.append(f"{problem}: {', '.join(names)}{', …' if len(counts) > _NAMED else ''}")
    return " · ".join(parts)


@styled
def draw_duplicates(
    clusters: Sequence[Cluster], pictures: Sequence[Sequence[Any]], counts: Mapping[str, int]
) -> Figure:
    """A row of pictures for each cluster; pictures: of what ``shown`` gives of each, or why there is none.

    counts: how many clusters there are in all, by kind.
    """
    if not clusters:
        return note_figure("Duplicates", "There are none: no image is a copy of another one.")
    told = " and ".join(f"of {count:,} with {kind}" for kind, count in counts.items() if count)
    figure = new_figure(12, 1.1 + 2.1 * len(clusters), f"The largest clusters of duplicates: {told}")
    rows = figure.subfigures(len(clusters), 1, squeeze=False)[:, 0]
    states = set()
    for row, cluster, of_cluster in zip(rows, clusters, pictures, strict=True):
        copies = shown(cluster.images).to_dict("records")
        tiles = [_tile(copy, picture) for copy, picture in zip(copies, of_cluster, strict=True)]
        draw_tiles(list(row.subplots(1, MOST_COPIES, squeeze=False).flat), tiles)
        parted = cluster.images["label"].nunique() > 1 or cluster.images["split"].nunique() > 1
        row.suptitle(heading(cluster), x=0.01, ha="left", size=10.5, color=COLOURS[1] if parted else "black")
        states |= {tile.state for tile in tiles}
    add_legend(figure, states)
    return figure


def _tile(copy: dict[Any, Any], picture: Any) -> Tile:
    return Tile(
        picture, copy["state"], (place_of(copy["label"], copy["split"], 22), f"#{copy['image_id']} {copy['state']}")
    )
