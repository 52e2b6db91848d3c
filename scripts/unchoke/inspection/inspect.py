"""Stage: the rules of cleaning that look at features. Their findings have the form of those about pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from unchoke import versions
from unchoke.cleaning.clean import counts_of, find_in_store, findings_bytes, marked, selection_of
from unchoke.cleaning.findings import FEATURE_RULES, Findings, Found, gathered, ranks_of, refuse_half
from unchoke.files import json_bytes, write_atomic
from unchoke.heads.rows import Rows, readable, split_rows
from unchoke.inspection.mislabelled import Examined, find_mislabelled
from unchoke.inspection.near import Places, find_near
from unchoke.inspection.samples import draw_samples, no_difference, no_threshold
from unchoke.inspection.shift import find_shift
from unchoke.inspection.threshold import histogram, propose
from unchoke.manifest.images import in_use
from unchoke.names import NO_LABEL, SPLITS, UNLABELLED
from unchoke.store import tables
from unchoke.store.read import FeatureStore, open_views


def inspect_features(
    stores: Sequence[Path],
    manifest: Path,
    fingerprints: Path,
    pixel_rules: Mapping[str, Any],
    settings: Mapping[str, Any],
    device: torch.device,
    findings: Path,
    summary: Path,
    distances: Path,
) -> dict[str, Any]:
    """Write what the rules find in the features of one encoder, and a summary; return the summary.

    stores: sealed features in each view. fingerprints, pixel_rules: as for ``clean.select_rows``; what those drop takes
    no part, and copies share a fold. settings: ``cleaning.features`` of the config, with the settings of its heads.
    findings: CSV, ``tables.FINDING_COLUMNS``. distances: CSV, ``tables.DISTANCE_COLUMNS``. Raises UnchokeError where a
    rule would drop more than half of train.
    """
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    pixels = find_in_store(fingerprints, frame, pixel_rules)
    chosen = marked(frame, selection_of(pixels, frame))
    features, rules = open_views(stores), settings["rules"]
    found: list[tuple[str, Mapping[str, Any], Found]] = []
    result: dict[str, Any] = {"version": versions.INSPECTION}
    if rule := rules["near_in_features"]:
        one, result["near_in_features"] = _near(features, chosen, pixels, settings, device)
        found.append(("near_in_features", rule, one))
    if rule := rules["mislabelled"]:
        examined = _examined(features, chosen, settings, device)
        one, result["mislabelled"] = find_mislabelled(examined, rule, settings["head"], device)
        found.append(("mislabelled", rule, one))
    together = gathered(found, len(frame), np.full(len(frame), -1, np.int64))
    refuse_half(together, chosen, rules, "cleaning.features.rules")
    result |= counts_of(together, frame, [name for name in FEATURE_RULES if rules.get(name)])
    table, result["shift"] = _shift(features, chosen, settings, device)
    write_atomic(findings, findings_bytes(together, frame))
    write_atomic(distances, tables.frame_bytes(table, tables.DISTANCE_COLUMNS))
    write_atomic(summary, json_bytes(result | {"settings": dict(settings)}))
    return result


def _near(
    features: dict[str, FeatureStore],
    chosen: pd.DataFrame,
    pixels: Findings,
    settings: Mapping[str, Any],
    device: torch.device,
) -> tuple[Found, dict[str, Any]]:
    """Near images by features, with the threshold that is given or, where none is, proposed."""
    rule, (first, *_) = settings["rules"]["near_in_features"], features.values()
    images = in_use(chosen[readable(features, chosen)])
    pairs = pixels.frame.query("rule == 'near_duplicate' and other >= 0")[["image_id", "other"]]
    samples = draw_samples(features, settings["pool"], images, pairs, rule["seed"], device)
    if samples is None and rule["threshold"] is None:
        raise no_threshold(str(first.path))
    proposal = propose(samples.same_P, samples.other_Q) if samples else None
    if samples and proposal and rule["threshold"] is None and proposal.same_found <= proposal.others_found:
        raise no_difference(samples.basis)
    threshold = rule["threshold"] if proposal is None or rule["threshold"] is not None else proposal.threshold
    places = Places(images["image_id"].to_numpy(np.int64), ranks_of(images["split"]))
    found, summary = find_near(first.group[settings["pool"]], places, threshold, rule, device)
    if samples and proposal:
        told = proposal._asdict() | {"basis": samples.basis, **histogram(samples.same_P, samples.other_Q)}
        summary["proposal"] = told
    return found, summary


def _shift(
    features: dict[str, FeatureStore], chosen: pd.DataFrame, settings: Mapping[str, Any], device: torch.device
) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Distances to train and the tests of val, test and what has no label; no rows and None where that is off, or where
    there is no image of train."""
    stored, read = next(iter(features.values())).group[settings["pool"]], chosen[readable(features, chosen)]
    if settings["shift"] is None or not (in_use(read)["split"] == "train").any():
        return pd.DataFrame(columns=list(tables.DISTANCE_COLUMNS)), None
    waiting = read[read["excluded"] == NO_LABEL].assign(split=UNLABELLED)
    images = pd.concat([in_use(read), waiting]).sort_values("image_id", ignore_index=True)
    return find_shift(stored, images, settings["shift"], settings["two_sample_head"], device)


def _examined(
    features: dict[str, FeatureStore], chosen: pd.DataFrame, settings: Mapping[str, Any], device: torch.device
) -> Examined:
    """The rows of the splits whose labels are examined."""
    classes, rows = split_rows(features, chosen, settings["head"], device)
    splits = [split for split in SPLITS if split in settings["rules"]["mislabelled"]["splits"]]
    images = _joined([rows[split] for split in splits])
    of_images = chosen.iloc[images.image_id_N]
    may_go_N = (of_images["split"] != "test").to_numpy(bool)
    return Examined(images, rows["val"], classes, of_images["path"].tolist(), may_go_N)


def _joined(parts: Sequence[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    return replace(
        parts[0],
        x_ND=torch.cat([part.x_ND for part in parts]),
        y_N=torch.cat([part.y_N for part in parts]),
        image_id_N=np.concatenate([part.image_id_N for part in parts]),
        group_N=np.concatenate([part.group_N for part in parts]),
    )
