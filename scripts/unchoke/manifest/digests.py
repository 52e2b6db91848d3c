"""Digests of images as they were when their features were made: the records of chunks have them."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from unchoke.errors import UnchokeError
from unchoke.store import chunks


def known_digests(features: Path, lines: pd.DataFrame, image_ids: Collection[int]) -> dict[int, str]:
    """The digests of images, by image_id, of those that are known.

    features: folder of all stores. lines: a row an image, with size and time as its rows file has them. What was read
    of an image in another state does not count. Records of earlier releases, and damaged ones, have no digests.
    """
    wanted = set(image_ids)
    found: dict[int, str] = {}
    states = dict(
        zip(lines["image_id"].tolist(), zip(lines["size_bytes"], lines["mtime_ns"], strict=True), strict=True)
    )
    for store in sorted(folder.with_suffix(".zarr") for folder in features.glob("*.chunks")):
        for chunk in sorted(chunks.chunks_there(store)):
            if not wanted:
                return found
            for image_id, (*state, digest) in _digests(store, chunk).items():
                if image_id in wanted and tuple(state) == states[image_id]:
                    found[image_id] = digest
                    wanted.remove(image_id)
    return found


def _digests(store: Path, chunk: int) -> dict[int, tuple[int, int, str]]:
    try:
        entries = chunks.read_record(store, chunk).get("digests", {})
    except UnchokeError:
        return {}
    return {int(image_id): tuple(entry) for image_id, entry in entries.items()}
