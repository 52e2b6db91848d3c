"""Stage: the list of images that no head may use, with reasons, and an error where they are too many."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from unchoke.errors import UnchokeError
from unchoke.files import json_bytes, write_atomic
from unchoke.manifest.moves import GONE
from unchoke.names import NO_LABEL
from unchoke.store import tables
from unchoke.store.read import read_seal_file

_REASONS = {-1: "no such file or directory", 0: "empty file"}  # by size; in the words of ``images.decode``


def invalid_patches(rows: pd.DataFrame, reasons: dict[int, str]) -> dict[int, str]:
    """By image_id, the reason why a patch was unreadable. reasons: by place in `rows`."""
    images = rows["image_id"].tolist()
    return {images[row]: reason for row, reason in reasons.items()}


def list_quarantine(manifest: Path, seals: list[Path], quarantine: Path) -> pd.DataFrame:
    """Write and return the table of images that are marked in the manifest, that are missing or empty files, or that a
    job could not read; seals: of the stores of these jobs. Images that vanished, or wait for a label, are none of
    them."""
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    frame = frame[~frame["excluded"].isin(GONE)]
    unread = {entry["image_id"]: entry["reason"] for seal in seals for entry in read_seal_file(seal)["invalid"]}
    by_reader = frame["image_id"].map(unread).fillna(frame["size_bytes"].map(_REASONS)).fillna("")
    reason = frame["excluded"].where(~frame["excluded"].isin(["", NO_LABEL]), by_reader)
    listed = frame.assign(reason=reason)[reason != ""]
    write_atomic(quarantine, tables.frame_bytes(listed, tables.QUARANTINE_COLUMNS))
    return listed


def check_quarantine(
    manifest: Path, quarantine: Path, max_bad_share: float, summary: Path, spared: Sequence[str] = ()
) -> dict[str, Any]:
    """Write and return how many images are quarantined, by reason; vanished ones do not count.

    spared: reasons that do not count either. Raises UnchokeError where the share of the others among all images present
    is above `max_bad_share`.
    """
    listed = tables.read_table(quarantine, tables.QUARANTINE_COLUMNS)
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    present = int((~frame["excluded"].isin(GONE)).sum())
    bad = listed[~listed["reason"].isin([*GONE, *spared])]
    share = len(bad) / max(present, 1)
    counts = bad["reason"].value_counts().sort_index().to_dict()
    if share > max_bad_share:
        worst = sorted(counts.items(), key=lambda item: -item[1])[:5]
        reasons = ", ".join(f"{count} × {reason}" for reason, count in worst)
        raise UnchokeError(
            "Too many images cannot be used.",
            found=f"{len(bad)} of {present} ({share:.1%}); {reasons}",
            expected=f"at most {max_bad_share:.1%} (dataset.max_bad_share)",
            where=str(quarantine),
            do="mend the files listed there and run again, or raise dataset.max_bad_share",
        )
    result = {"images": present, "quarantined": len(bad), "share": share, "max_share": max_bad_share, "reasons": counts}
    write_atomic(summary, json_bytes(result))
    return result
