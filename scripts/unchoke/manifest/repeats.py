"""Stage: further random splits of the same images, one table each; those of the manifest are repeat 0.

A repeat does not depend on how many there are. Rows keep their split while the split settings stay, as in the manifest.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unchoke.errors import UnchokeError
from unchoke.files import json_bytes, write_if_changed
from unchoke.machine.receipts import read_json
from unchoke.manifest.splits import draw_splits, strata
from unchoke.names import CLASSIFICATION
from unchoke.store import tables


def repeat_seed(seed: int, repeat: int) -> int:
    """Seed of the draw of a repeat, of 32 bits."""
    return int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])


def draw_repeat(manifest: Path, repeat: int, splits: Path) -> pd.DataFrame:
    """Bring `splits`, the table of a repeat, up to date with the manifest, and the record beside it; return the table.

    repeat: 1, 2, …. Rows that no head uses have a split only where they had one before. Raises UnchokeError, before
    anything is written, where the data gives the test split.
    """
    frame = tables.read_table(manifest, tables.MANIFEST_COLUMNS)
    settings = read_json(manifest.with_suffix(".json"))["split_settings"]
    _refuse_given_test(settings["given"], manifest)
    record, described = splits.with_suffix(".json"), {"repeat": repeat, "split_settings": settings}
    kept = splits.exists() and record.exists() and read_json(record) == described
    old = tables.read_table(splits, tables.SPLIT_COLUMNS)["split"] if kept else pd.Series([], dtype=object)
    table = frame[["image_id"]].assign(split=_draw(frame, old, settings, repeat_seed(settings["seed"], repeat)))
    write_if_changed(splits, tables.frame_bytes(table, tables.SPLIT_COLUMNS))
    write_if_changed(record, json_bytes(described))
    return table


def _draw(frame: pd.DataFrame, old: pd.Series, settings: dict[str, Any], seed: int) -> pd.Series:
    """A split for each row of the manifest. old: those of its first rows, which they keep.

    Where the data gives val, none is drawn: the rows of val are those of the manifest, in every repeat.
    """
    given = "val" in settings["given"]
    split = old.reindex(frame.index, fill_value="")
    split[(split == "") & (frame["split"] == "val") & given] = "val"
    used = frame["excluded"] == ""
    rows, shares = frame[used], {"val": 0.0 if given else settings["val"], "test": settings["test"]}
    classes = strata(rows["label"], settings.get("task", CLASSIFICATION))
    split[used] = draw_splits(classes, rows["group"].tolist(), split[used].tolist(), shares, seed)
    return split


def _refuse_given_test(given: list[str], manifest: Path) -> None:
    if "test" in given:
        raise UnchokeError(
            "The data gives the test split, so that no other one can be drawn.",
            found=f"images that the data puts into {', '.join(given)}, and dataset.split.repeats above 1",
            expected="test images without a given split: given splits are the same in every repeat",
            where=str(manifest),
            do="set dataset.split.repeats to 1, or leave the split of test images open to have it drawn",
        )
