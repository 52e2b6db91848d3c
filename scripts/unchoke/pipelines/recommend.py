"""Pure: from the table to lines of YAML that a user can paste into a config."""

import json
import math
from collections.abc import Sequence

from unchoke.pipelines.table import ACCURACY, NAMES, Row

WORTH = 1.05
"""How many times the rate of the default a pipeline must have to be recommended in its place."""
PAYS = 2.0
"""What compiling saves must be so many times what it costs, as where the config says `compile: auto`."""


def best_setting(rows: Sequence[Row], images: int) -> Row:
    """The fastest row that a config can choose, like the first and faster in each round; else the first.

    images: to be encoded by what is recommended.
    """
    default = rows[0]
    able = [row for row in rows if row.measured and row.decoding and not row.differs and row.least_times > 1]
    able = [row for row in able if not _compiling_costs(row, default, images)]
    best = max(able, key=lambda row: row.images_per_s, default=default)
    return best if best.images_per_s > WORTH * default.images_per_s else default


def _compiling_costs(row: Row, default: Row, images: int) -> str:
    """Why compiling is not worth its time; empty where it is, or nothing is compiled."""
    if not row.encoder or json.loads(row.encoder)["compile"] == "off":
        return ""
    saved_s = images * (1 / default.images_per_s - 1 / row.images_per_s)
    if saved_s > PAYS * row.prepare_s:
        return ""
    return f"compiling took {row.prepare_s:,.0f} s and saves {saved_s:,.0f} s over {images:,} images"


def recommendation(rows: Sequence[Row], threads: int, rounds: int, encoder: str, images: int) -> str:
    """Comments with the promised rate and where it comes from, lines of YAML, and what was faster but is no setting.

    rows: the first is the default. threads: that were measured. encoder: its name in the config. images: to be encoded.
    """
    best, default = best_setting(rows, images), rows[0]
    times = best.images_per_s / default.images_per_s
    lines = [
        f"# {best.pipeline}: {best.images_per_s:,.0f} images/s, {times:.2f} × the default",
        f"# Basis: the lower of the cold and warm rate, medians of {rounds} rounds over {best.images:,} images, one",
        "# process; the start of a run is not in it.",
        *_worth(best),
        "decoding:",
        *_keys(best.decoding, "  "),
        f"  threads: {threads}",
        "encoders:",
        f"  {json.dumps(encoder)}:",
        *_keys(best.encoder, "    "),
    ]
    if best.encoder != default.encoder or best.decoding != default.decoding:
        lines.append("# Stored features of this encoder that were made with other settings are made anew.")
    able = [row for row in rows if row.measured and row.task == best.task]
    faster = [row for row in able if row.images_per_s > WORTH * best.images_per_s]
    for row in sorted(faster, key=lambda row: -row.images_per_s):
        why = _why_not(row, default, images)
        lines.append(f"# Faster, but not recommended: {row.pipeline}, {row.images_per_s:,.0f} images/s ({why})")
    return "\n".join(lines) + "\n"


def network_recommendation(rows: Sequence[Row], name: str, passes: tuple[int, int, int]) -> str:
    """The same for the training of a network: comments with the promised rate, and lines of YAML.

    rows: the first is the config's own. name: of the network in the config. passes: images of train and val, epochs of
    a training, and trainings.
    """
    default = rows[0]
    if not default.measured:
        return f"# {default.pipeline}: not measured: {default.note}\n"
    best = min(_able(rows), key=lambda row: training_s(row, *passes), default=default)
    if training_s(best, *passes) * WORTH > training_s(default, *passes):
        best = default
    times = best.warm_images_per_s / default.warm_images_per_s
    lines = [
        f"# {best.pipeline}: {best.warm_images_per_s:,.0f} images/s of training, {times:.2f} × the default",
        "networks:",
        f"  {json.dumps(name)}:",
        *_keys(best.network, "    "),
    ]
    if best is not default:
        same = "the logits of the default to the last bit" if best.feature_difference == 0 else ""
        told = f"{best.accuracy:.4f}; {same or f'from the default {best.apart}'}"
        lines.insert(1, f"# Accuracy on val after two epochs: {told}.")
        lines.append("# The network is trained anew with other settings.")
    faster = [row for row in rows if row.measured and row.warm_images_per_s > WORTH * best.warm_images_per_s]
    for row in sorted(faster, key=lambda row: -row.warm_images_per_s):
        why = _why_no_training(row, default, passes)
        lines.append(f"# Faster, but not recommended: {row.pipeline}, {row.warm_images_per_s:,.0f} images/s ({why})")
    return "\n".join(lines) + "\n"


def _able(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.measured and row.network and not row.differs and row.least_times > 1]


def training_s(row: Row, images: int, epochs: int, trainings: int) -> float:
    """Seconds of all trainings: one cold epoch, which makes the caches, then warm ones.

    Compiling, once for each, counts ``PAYS`` times.
    """
    compiling = PAYS * trainings * row.prepare_s if row.network and json.loads(row.network)["compile"] else 0.0
    return compiling + images / row.images * (row.cold_s + (epochs * trainings - 1) * row.warm_s)


def _why_no_training(row: Row, default: Row, passes: tuple[int, int, int]) -> str:
    if row.differs:
        return row.note
    if not row.network:
        return "no setting of the config"
    saved_s = training_s(default, *passes) - training_s(row, *passes)
    return "slower than the default in a round" if saved_s > 0 else "its first epoch, or compiling, costs more"


def _worth(row: Row) -> list[str]:
    """What masks or words lose with it."""
    if row.metric == ACCURACY or math.isnan(row.accuracy):
        return []
    worth = f"{NAMES[row.metric]} on val of a small head on its maps: {row.accuracy:.4f}"
    return [f"# {worth}; from the default {row.apart}."]


def _keys(text: str, indent: str) -> list[str]:
    return [f"{indent}{key}: {json.dumps(value)}" for key, value in json.loads(text).items()]


def _why_not(row: Row, default: Row, images: int) -> str:
    if row.differs:
        return row.note
    if not row.decoding:
        return "no setting of the config for this encoder"
    return _compiling_costs(row, default, images) or "slower than the default in a round"
