"""Stage: from pictures to predictions, through the transform and the encoder that a head was trained behind."""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from unchoke import versions
from unchoke.encoders.cards import read_card
from unchoke.encoders.encoder import Encoder, keep_encoder
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.features.chunk import Picture, encode_pictures
from unchoke.files import file_sha256
from unchoke.heads.checkpoint import Head, read_checkpoint
from unchoke.images.given import Readable, name_of, read_picture, several
from unchoke.images.views import view_of
from unchoke.machine.devices import lease_device
from unchoke.machine.limits import VRAM_MB
from unchoke.mask_heads.head import MaskHead
from unchoke.names import WEIGHTS
from unchoke.signed import signed_bytes

_BLOCK = 4096  # images that pass the head at once


@dataclass(frozen=True)
class Predictions:
    """What a head says of N images; of one that could not be read: None, NaN, and the reason."""

    names: list[str]
    """The path of each image, or the type of the given object."""
    classes: list[str]
    labels: list[str | None]
    """The most probable class of each image."""
    probability_N: NDArray[np.float64]
    """Of that class."""
    probabilities_NC: NDArray[np.float64]
    """Of all classes, calibrated, the mean over the head's replicates."""
    reasons: list[str]
    """Why there is no prediction; empty where there is one."""

    def table(self) -> pd.DataFrame:
        """One row an image: image, label, probability, reason."""
        columns = {"image": self.names, "label": self.labels, "probability": self.probability_N, "reason": self.reasons}
        return pd.DataFrame(columns)


def predict(
    images: Readable | Iterable[Readable],
    checkpoint: str | os.PathLike[str] | Head,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    *,
    vram_mb: float = VRAM_MB,
    threads: int = 8,
    image_ids: Sequence[int] | None = None,
) -> Predictions:
    """Predictions for one image or many, from features that are made as the head's own were.

    images: each a path, a PIL image, or a uint8 array (H, W, 3). decoding.jpeg_draft has a say on paths alone.
    weights: the encoder's file; None: looked for by its digest in ``names.WEIGHTS`` below the working directory.
    device: auto, cuda, mps or cpu. A card is leased until this process ends, and no more than vram_mb of it is taken.
    threads: how many decode. image_ids: ids in the manifest, from which the views crop_<n> and colour_<n> draw; None:
    0 for every image. Raises UnchokeError where head or weights cannot be had, but not for an unreadable image.
    """
    head = checkpoint if isinstance(checkpoint, Head) else read_checkpoint(Path(checkpoint))
    pictures = several(images)
    ids, file = _ids(image_ids, len(pictures)), find_weights(head, weights)
    on, size = lease_device(device, vram_mb), head.encoder["chunk_size"]
    encoder = load_encoder_of(head, file, on, vram_mb)
    features, reasons = [], list[str]()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(pictures), size):  # a chunk at a time, to limit the pictures in memory
            rows = slice(start, start + size)
            x_VBD, why = _encode_views(pictures[rows], ids[rows], head, encoder, pool)
            features.append(x_VBD)
            reasons += why
    probabilities_NC = _apply(head, features, [not reason for reason in reasons], on)
    best_N = probabilities_NC.argmax(1)
    labels = [None if reason else head.classes[best] for reason, best in zip(reasons, best_N, strict=True)]
    names = list(map(name_of, pictures))
    return Predictions(names, head.classes, labels, probabilities_NC.max(1), probabilities_NC, reasons)


def find_weights(head: Head | MaskHead, weights: str | os.PathLike[str] | None = None) -> Path:
    """The weights file of a head's encoder; see ``predict``. UnchokeError says which it must be and how to get it."""
    assert head.encoder, "a head that sees pixels has no weights but its own"
    digest = head.encoder["weights_sha256"]
    if weights is None:
        cards = {card.with_suffix(".safetensors"): read_card(card) for card in sorted(Path(WEIGHTS).glob("*.json"))}
        for file, card in cards.items():
            if card["sha256"] == digest and file.exists():
                return file
        raise _no_weights(head, ", ".join(file.name for file in cards) or "nothing", Path(WEIGHTS))
    file = Path(weights)
    if not file.is_file():
        raise _no_weights(head, "no file", file)
    if (found := file_sha256(file)) != digest:
        raise _no_weights(head, f"sha256 {found}", file)
    return file


def _no_weights(head: Head | MaskHead, found: str, where: Path) -> UnchokeError:
    facts = head.encoder or {}
    origin = "" if facts["trained"] else ", untrained"
    return UnchokeError(
        "The weights of the head's encoder are not here.",
        found=found,
        expected=f"{facts['model']}{origin}, sha256 {facts['weights_sha256']}",
        where=str(where.absolute()),
        do=f"work in the folder in which the head was trained, or give weights= the path of that file; the run that "
        f"trained the head has it in {WEIGHTS}, and makes it anew: snakemake --cores all, with the same config",
    )


def load_encoder_of(head: Head, weights: Path, device: torch.device, budget_mb: float) -> Encoder:
    """The encoder as the checkpoint describes it, with the head's pool; loaded once a process."""
    return described_encoder(head.path, head.encoder, weights, [head.settings["pool"]], [], device, budget_mb)


def described_encoder(
    checkpoint: Path,
    facts: dict[str, Any],
    weights: Path,
    pools: list[str],
    strides: list[int],
    device: torch.device,
    budget_mb: float,
) -> Encoder:
    """The encoder of a checkpoint's facts, with these pools or maps; loaded once a process.

    UnchokeError where this release makes features in another way than the head's were made.
    """
    if facts["version"] != versions.EXTRACT:
        raise UnchokeError(
            "The head was trained on features of another version of Unchoke.",
            found=f"version {facts['version']}",
            expected=f"version {versions.EXTRACT}",
            where=str(checkpoint),
            do="make features and head anew: snakemake --cores all",
        )
    card = {"sha256": facts["weights_sha256"], **{name: facts[name] for name in ("model", "trained", "data_config")}}
    with TemporaryDirectory() as folder:  # the card beside the weights may be missing, or from another release of timm
        path = Path(folder, "card.json")
        path.write_bytes(signed_bytes(card))
        size, precision = facts["image_size"], facts["precision"]
        return keep_encoder(weights, path, size, pools, device, precision, budget_mb, strides)


def stored_as(facts: dict[str, Any]) -> str:
    """Type of the features that a head was trained on, by a checkpoint's facts of the encoder."""
    return str(facts.get("store", "float16"))


def _encode_views(
    pictures: list[Readable], ids: list[int], head: Head, encoder: Encoder, pool: ThreadPoolExecutor
) -> tuple[NDArray[np.floating], list[str]]:
    """Features (V, B, D) in the head's test views, and why an image has none; empty where it has them in all."""
    micro_batch, prepare = head.encoder["micro_batch"], encoder.preprocess()
    features, reasons = [], [""] * len(pictures)
    for view in head.settings["test_views"]:
        prepared = pool.map(partial(_prepared, prepare, view, head.encoder, encoder.resized_px), pictures, ids)
        encoded = encode_pictures(prepared, encoder, micro_batch, len(pictures), stored_as(head.encoder))
        features.append(encoded.arrays[head.settings["pool"]])
        for row, reason in encoded.reasons.items():
            reasons[row] = reasons[row] or reason
    return np.stack(features), reasons


def _prepared(
    prepare: Callable[[Any], torch.Tensor],
    view: str,
    facts: dict[str, Any],
    resized_px: int,
    picture: Readable,
    image_id: int,
) -> Picture:
    draft_px = 2 * resized_px if facts["jpeg_draft"] else None
    try:
        image = read_picture(picture, max_pixels=facts["max_pixels"], draft_px=draft_px)
    except UnreadableImageError as error:
        return Picture(None, str(error))
    return Picture(prepare(view_of(view, image, image_id)))


def _apply(
    head: Head, features: list[NDArray[np.floating]], valid: list[bool], device: torch.device
) -> NDArray[np.float64]:
    """Probabilities (N, C) from the features (V, B, D) of one batch after the other; NaN where not valid."""
    probabilities_NC = np.full((len(valid), len(head.classes)), np.nan)
    if any(valid):
        x_VND, rows_N = np.concatenate(features, 1), np.flatnonzero(valid)
        for rows_B in np.array_split(rows_N, math.ceil(len(rows_N) / _BLOCK)):
            x_ND = x_VND[:, rows_B].reshape(-1, x_VND.shape[2])
            probabilities_NC[rows_B] = head.probabilities(x_ND, device, views=len(x_VND))
    return probabilities_NC


def _ids(image_ids: Sequence[int] | None, count: int) -> list[int]:
    ids = [0] * count if image_ids is None else [int(image_id) for image_id in image_ids]
    if len(ids) != count:
        raise UnchokeError("Images and their ids are not as many.", found=f"{len(ids)} ids", expected=f"{count}")
    return ids
