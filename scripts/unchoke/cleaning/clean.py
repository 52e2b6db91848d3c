"""Stage: cleaning. The findings of the rules, and the selection of images for heads."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from unchoke import versions
from unchoke.cleaning.decisions import DROP, DROPPED, Decision, read_decided, relabelled, standing
from unchoke.cleaning.findings import Findings, gathered, refuse_half
from unchoke.cleaning.rules import RULES, class_balance, find
from unchoke.cleaning.subsets import left_out
from unchoke.errors import UnchokeError
from unchoke.files import json_bytes, write_atomic, write_if_changed
from unchoke.names import SPLITS
from unchoke.store import chunks, tables
from unchoke.store.read import open_complete

SUBSET = "subset"
"""The reason of a row outside the subset."""
TORN = "copy in another split"
"""The reason of a row in one repeat of the split: its copy lies in test, or in val where this row is in train."""


def add_selection_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that reads the images in use, ``--manifest`` and ``--selection``; see ``selected``."""
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with labels and splits")
    parser.add_argument("--selection", type=Path, help="CSV that says which images are left out")


def clean_images(
    store: Path, manifest: Path, rules: Mapping[str, Any], findings: Path, cleaning: Path, summary: Path
) -> dict[str, Any]:
    """Write the findings of the rules, the reasons for each image, and a summary; return the summary.

    store: sealed fingerprints. rules: ``cleaning.rules`` of the config. findings: CSV with a row for each image and
    rule, ``tables.FINDING_COLUMNS``. cleaning: CSV with a row for every image, ``tables.CLEANING_COLUMNS``.
    """
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    found = find_in_store(store, frame, rules)
    write_atomic(findings, findings_bytes(found, frame))
    reasons = found.frame.groupby("image_id")["rule"].agg(" ".join).reindex(frame["image_id"], fill_value="")
    column = pd.DataFrame({"image_id": frame["image_id"], "reasons": reasons.to_numpy(), "dropped": found.dropped})
    write_atomic(cleaning, tables.frame_bytes(column, tables.CLEANING_COLUMNS))
    result = _summary(found, frame, rules)
    write_atomic(summary, json_bytes(result))
    return result


def find_in_store(store: Path, frame: pd.DataFrame, rules: Mapping[str, Any]) -> Findings:
    """What the rules about pixels find. store: sealed fingerprints of the images of `frame`, a manifest."""
    opened = open_complete(store)
    if len(frame) != opened.seal["images"]:
        raise UnchokeError(
            "Fingerprints and manifest are of different images.",
            found=f"{opened.seal['images']} fingerprints, {len(frame)} images",
            where=str(store),
            do=f"bring the fingerprints up to date: snakemake --cores all {store / 'zarr.json'}",
        )
    hashes, measures = (np.asarray(opened.group[name][:]) for name in (chunks.HASHES, chunks.MEASURES))  # type: ignore[index]
    return find(frame, hashes, measures, opened.valid(), rules)


def findings_bytes(found: Findings, frame: pd.DataFrame) -> bytes:
    """The table ``tables.FINDING_COLUMNS``: findings with the path, label and split of each image, values as text."""
    rows = frame.iloc[found.frame["image_id"]].reset_index(drop=True)
    value = ["" if np.isnan(value) else f"{value:.6g}" for value in found.frame["value"]]
    described = found.frame.assign(**{name: rows[name] for name in ("path", "label", "split")}, value=value)
    return tables.frame_bytes(described, tables.FINDING_COLUMNS)


def _summary(found: Findings, frame: pd.DataFrame, rules: Mapping[str, Any]) -> dict[str, Any]:
    """Findings by rule and split, and the balance of the classes before and after; plain data."""
    of_split = frame["split"].to_numpy(object)[found.frame["image_id"]]
    return {
        "version": versions.CLEANING,
        "images": int((frame["excluded"] == "").sum()),
        **counts_of(found, frame, [name for name in RULES if rules.get(name)]),
        "near_leaks": near_leaks(found.frame, frame),
        "kept_in_test": _kept_in_test(found, of_split, rules),
        "class_balance": class_balance(frame, found.dropped).to_dict("records"),
        "rules": dict(rules),
    }


def counts_of(found: Findings, frame: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
    """Findings of the rules `names` by split, and by reason the images that are dropped; plain data."""
    of_split = frame["split"].to_numpy(object)[found.frame["image_id"]]
    counts = found.frame.assign(split=of_split).groupby(["rule", "split"]).size().to_dict()
    dropped = pd.Series(found.dropped)
    return {
        "findings": {
            name: {split: int(counts[name, split]) for split in SPLITS if (name, split) in counts} for name in names
        },
        "dropped": {str(name): int(n) for name, n in dropped[dropped != ""].value_counts().sort_index().items()},
    }


def near_leaks(findings: pd.DataFrame, manifest: pd.DataFrame) -> int:
    """Number of near copies whose kept copy is in another split.

    findings: the columns of tables.FINDING_COLUMNS. manifest: image_id and split of every image.
    """
    near, split = findings[findings["rule"] == "near_duplicate"], manifest.set_index("image_id")["split"]
    return int((near["image_id"].map(split).to_numpy() != near["other"].map(split).to_numpy()).sum())


def _kept_in_test(found: Findings, of_split: NDArray[np.object_], rules: Mapping[str, Any]) -> dict[str, int]:
    """By rule with the action drop: the images that it finds in test and keeps."""
    kept = found.frame["rule"][(of_split == "test") & (found.frame["action"] == "report").to_numpy()].value_counts()
    return {name: int(kept[name]) for name in RULES if name in kept and rules[name]["action"] == "drop"}


def select_rows(
    manifest: Path,
    store: Path | None,
    rules: Mapping[str, Any],
    inspected: Path | None,
    subset: Mapping[str, Any] | None,
    selection: Path,
    decided: Path | None = None,
) -> pd.DataFrame:
    """Write and return one row for every image: whether heads leave it out, for a rule, a decision or the subset.

    A second column is the image's cluster of copies within its split. store: sealed fingerprints; None without
    cleaning. rules: at least ``config.cleaning.deciding`` of the config's rules. inspected: findings in features, None
    where no rule about features drops images. subset: the section of the config, or None. decided: what
    ``decisions.read_decisions`` wrote; with it a third column has the labels. A file with the same content is not
    written again. Raises UnchokeError where a rule about pixels would drop more than half of train.
    """
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    found = _found_in_pixels(store, frame, rules)
    refuse_half(found, frame, rules, "cleaning.rules")
    drops = [found.frame] if inspected is None else [found.frame, tables.read_table(inspected, tables.FINDING_COLUMNS)]
    decisions = read_decided(decided)
    frame["label"] = relabelled(frame["label"], decisions)
    column = selection_of(found, frame)
    reason = _reasons(pd.concat(drops), decisions, len(frame))
    if subset is not None:
        reason[left_out(frame, reason, subset)] = SUBSET
    column["left_out"] = reason
    if decided is not None:
        column["label"] = frame["label"]
    columns = tables.SELECTION_COLUMNS if decided is None else tables.DECIDED_SELECTION_COLUMNS
    write_if_changed(selection, tables.frame_bytes(column, columns))
    return column


def _found_in_pixels(store: Path | None, frame: pd.DataFrame, rules: Mapping[str, Any]) -> Findings:
    """What the rules about pixels find; nothing without fingerprints."""
    if store is None:
        return gathered([], len(frame), np.full(len(frame), -1, dtype=np.int64))
    return find_in_store(store, frame, rules)


def _reasons(findings: pd.DataFrame, decisions: list[Decision], n_images: int) -> NDArray[np.object_]:
    """Why each image goes, (n,): the user says so, or a rule that the user does not overrule, the first in order."""
    drops = standing(findings.loc[findings["action"] == "drop", ["image_id", "rule"]], decisions)
    first = drops.drop_duplicates("image_id")
    reason = np.full(n_images, "", dtype=object)
    reason[first["image_id"].to_numpy(np.int64)] = first["rule"].to_numpy(object)
    reason[[one.image_id for one in decisions if one.decision == DROP]] = DROPPED
    return reason


def selection_of(found: Findings, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``tables.SELECTION_COLUMNS`` as findings leave the images of a manifest."""
    return pd.DataFrame({"image_id": frame["image_id"], "left_out": found.dropped, "cluster": found.cluster})


def followed(findings: pd.DataFrame, selection: pd.DataFrame) -> pd.DataFrame:
    """The findings, where the action of a drop that the user overrules is ``report``.

    findings: the columns of tables.FINDING_COLUMNS. selection: image_id and left_out.
    """
    left_out = findings["image_id"].map(selection.set_index("image_id")["left_out"])
    return findings.assign(action=findings["action"].where(~left_out.isin(["", SUBSET]), "report"))


def selected(manifest: Path, selection: Path | None, splits: Path | None = None) -> pd.DataFrame:
    """The manifest, where the images that the selection leaves out are marked as excluded, with the user's labels.

    selection: None leaves the manifest unchanged. Copies within a split get one group, which joins their own groups, so
    that they are resampled together. splits: table of a repeat, whose splits replace the manifest's. If it puts copies
    into several splits, only those in test stay, else those in val. Raises UnchokeError where the tables list different
    images.
    """
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    if splits is not None:
        drawn = tables.read_table(splits, tables.SPLIT_COLUMNS)
        _refuse_others(drawn, splits, frame)
        frame["split"] = drawn["split"]
    if selection is None:
        return frame
    chosen = tables.read_selection(selection)
    _refuse_others(chosen, selection, frame)
    return marked(frame, chosen, torn=splits is not None)


def marked(frame: pd.DataFrame, chosen: pd.DataFrame, *, torn: bool = False) -> pd.DataFrame:
    """``selected`` for tables in memory, of the same images. torn: whether copies may lie in several splits."""
    frame = frame.assign(excluded=frame["excluded"].where(frame["excluded"] != "", chosen["left_out"]))
    if "label" in chosen:
        frame["label"] = chosen["label"]
    if torn:
        frame.loc[_torn(frame, chosen["cluster"]), "excluded"] = TORN
    return frame.assign(group=_joined(frame["group"], chosen["cluster"]))


def _refuse_others(table: pd.DataFrame, path: Path, frame: pd.DataFrame) -> None:
    """UnchokeError where a table has not a row for every image of the manifest."""
    if len(table) != len(frame):
        raise UnchokeError(
            "Two tables are of different images.",
            found=f"{len(table)} rows, and {len(frame)} images in the manifest",
            where=str(path),
            do=f"bring it up to date: snakemake --cores all {path}",
        )


def _torn(frame: pd.DataFrame, cluster: pd.Series) -> pd.Series:
    """Rows in use of which a copy lies in a later one of ``SPLITS``, as a mask."""
    copies = (frame["excluded"] == "") & (cluster >= 0)
    place = frame["split"].map({split: place for place, split in enumerate(SPLITS)}).where(copies, -1)
    return (place >= 0) & (place < place.groupby(cluster).transform("max"))


def read_belongings(manifest: Path, selection: Path | None) -> pd.DataFrame:
    """By image_id: the manifest's `group`, and the `unit`, which joins groups through copies; '' for an image alone."""
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS).set_index("image_id")
    return frame[["group"]].assign(unit=selected(manifest, selection)["group"].to_numpy())


def of_images(belongings: pd.DataFrame, image_id_N: NDArray[np.integer]) -> tuple[NDArray[np.object_], ...]:
    """Group and unit of some images, each (N,)."""
    rows = belongings.reindex(image_id_N.tolist(), fill_value="")
    return rows["group"].to_numpy(object), rows["unit"].to_numpy(object)


def _joined(group: pd.Series, cluster: pd.Series) -> pd.Series:
    """Joined groups: a cluster of copies connects its groups, and the first of their names stands for all.

    Copies without a group form a new one. group: '' for none. cluster: -1 for none.
    """
    if (cluster < 0).all():
        return group
    copies = pd.Series(np.where(cluster >= 0, "copies of image " + cluster.astype(str), ""), dtype=object)
    n, own = len(group), group.where(group != "", copies)
    edges = []
    for behind, names in ((n, group), (2 * n, copies)):
        place_N = pd.factorize(names)[0]
        rows = np.flatnonzero(names != "")
        edges.append((rows, behind + place_N[rows]))
    image, node = map(np.concatenate, zip(*edges, strict=True))
    graph = coo_array((np.ones(len(image), dtype=bool), (image, node)), shape=(3 * n, 3 * n))
    unit = connected_components(graph, directed=False)[1][:n]
    grouped = (group != "").to_numpy()
    first = group[grouped].groupby(unit[grouped]).min()
    name_of = first.to_dict()
    return pd.Series([name_of.get(part, name) for part, name in zip(unit, own, strict=True)], dtype=object)
