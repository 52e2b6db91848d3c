"""Stage: from pictures to predictions, through what a head or a network was trained behind."""

import math
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke import versions
from unchoke.encoders.cards import read_card
from unchoke.encoders.encoder import Encoder, SeesImages, keep_encoder
from unchoke.encoders.pixels import Pixels
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.features.chunk import Picture, encode_pictures
from unchoke.files import file_sha256
from unchoke.heads.checkpoint import Head
from unchoke.images.given import Readable, name_of, read_picture, several
from unchoke.images.views import view_of
from unchoke.labelling.answers import Predictions, answers_of, predictions_of, width_of
from unchoke.machine.devices import lease_device
from unchoke.machine.limits import VRAM_MB
from unchoke.mask_heads.head import MaskHead
from unchoke.names import WEIGHTS
from unchoke.networks.checkpoint import TrainedNetwork, read_trained
from unchoke.signed import signed_bytes

_BLOCK = 4096  # images that pass a head at once
_DECODED = 16  # pictures that become a batch of pixels, which depend on no other


def predict(
    images: Readable | Iterable[Readable],
    checkpoint: str | os.PathLike[str] | Head | TrainedNetwork,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    *,
    vram_mb: float = VRAM_MB,
    threads: int = 8,
    image_ids: Sequence[int] | None = None,
) -> Predictions:
    """Predictions of a head or a network for one image or many, which it sees as it saw those of its training.

    images: each a path, a PIL image, or a uint8 array (H, W, 3). decoding.jpeg_draft has a say on paths alone.
    weights: the encoder's file; None: looked for by its digest in ``names.WEIGHTS`` below the working directory. A
    network that was trained whole needs none.
    device: auto, cuda, mps or cpu. A card is leased until this process ends, and no more than vram_mb of it is taken.
    threads: how many decode. image_ids: ids in the manifest, from which the views crop_<n> and colour_<n> draw; None:
    0 for every image. Raises UnchokeError where head or weights cannot be had, but not for an unreadable image.
    """
    head = checkpoint if isinstance(checkpoint, Head | TrainedNetwork) else read_trained(Path(checkpoint))
    pictures = several(images)
    ids, file = _ids(image_ids, len(pictures)), _weights_of(head, weights)
    on, size = lease_device(device, vram_mb), head.encoder["chunk_size"]
    if isinstance(head, TrainedNetwork) and head.sees_pixels and file:
        head = replace(head, weights=file)
    at_once = 1 if isinstance(head, TrainedNetwork) else math.ceil(_BLOCK / size)  # features are small
    source = load_encoder_of(head, file, on, vram_mb)
    seen, found, reasons = [], [np.empty((0, width_of(head)))], list[str]()
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(pictures), size):  # a chunk at a time, to limit the pictures in memory
            rows = slice(start, start + size)
            x_VBD, why = _encode_views(pictures[rows], ids[rows], head, source, pool)
            seen.append(x_VBD)
            reasons += why
            if len(seen) == at_once or rows.stop >= len(pictures):
                found.append(_apply(head, np.concatenate(seen, 1), reasons, on))
                seen = []
    return predictions_of(head, list(map(name_of, pictures)), np.concatenate(found), reasons)


def _weights_of(head: Head | TrainedNetwork, weights: str | os.PathLike[str] | None) -> Path | None:
    """As ``find_weights``; None for a network that needs none."""
    if not isinstance(head, TrainedNetwork):
        return find_weights(head, weights)
    return find_weights(head, weights or head.weights) if head.needs_weights else None


def find_weights(head: Head | TrainedNetwork | MaskHead, weights: str | os.PathLike[str] | None = None) -> Path:
    """The weights file of what a head or a network stands on; see ``predict``.

    UnchokeError says which it must be and how to get it.
    """
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


def _no_weights(head: Head | TrainedNetwork | MaskHead, found: str, where: Path) -> UnchokeError:
    facts = head.encoder or {}
    origin, what = "" if facts["trained"] else ", untrained", _spoken(head)
    return UnchokeError(
        f"The weights of the {what}'s encoder are not here.",
        found=found,
        expected=f"{facts['model']}{origin}, sha256 {facts['weights_sha256']}",
        where=str(where.absolute()),
        do=f"work in the folder in which the {what} was trained, or give weights= the path of that file; the run that "
        f"trained the {what} has it in {WEIGHTS}, and makes it anew: snakemake --cores all, with the same config",
    )


def _spoken(head: object) -> str:
    return "network" if isinstance(head, TrainedNetwork) else "head"


def load_encoder_of(
    head: Head | TrainedNetwork, weights: Path | None, device: torch.device, budget_mb: float
) -> SeesImages:
    """The encoder as the checkpoint describes it, with the head's pool or the network's cut; loaded once a process.

    Of a network that sees pixels: what makes them. UnchokeError where this release does not make what was trained on.
    """
    facts = head.encoder
    if isinstance(head, TrainedNetwork) and head.sees_pixels:
        _refuse_other_version(head.path, facts["version"], versions.PIXELS, "network", "pixels")
        return Pixels(facts["image_size"], facts["transform"])
    assert weights, "only what sees pixels may need none"
    encoder = described_encoder(head.path, facts, weights, [head.settings["pool"]], [], device, budget_mb)
    cut = encoder.cut.facts() if encoder.cut else {}
    if other := {name: fact for name, fact in cut.items() if facts[name] != fact}:
        raise UnchokeError(
            "The encoder is cut at another place than the network was.",
            found=", ".join(f"{name} {fact}" for name, fact in other.items()),
            expected=", ".join(f"{name} {facts[name]}" for name in other),
            where=str(head.path),
            do="use the release of timm that the network was trained with (runs/…), or train it anew",
        )
    return encoder


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
    _refuse_other_version(checkpoint, facts["version"], versions.EXTRACT, "head or network", "features")
    card = {"sha256": facts["weights_sha256"], **{name: facts[name] for name in ("model", "trained", "data_config")}}
    with TemporaryDirectory() as folder:  # the card beside the weights may be missing, or from another release of timm
        path = Path(folder, "card.json")
        path.write_bytes(signed_bytes(card))
        size, precision = facts["image_size"], facts["precision"]
        return keep_encoder(weights, path, size, pools, device, precision, budget_mb, strides)


def _refuse_other_version(checkpoint: Path, found: int, expected: int, what: str, seen: str) -> None:
    if found != expected:
        raise UnchokeError(
            f"The {what} was trained on {seen} of another version of Unchoke.",
            found=f"version {found}",
            expected=f"version {expected}",
            where=str(checkpoint),
            do=f"make the {seen} anew and train on them: snakemake --cores all",
        )


def stored_as(facts: dict[str, Any]) -> str:
    """Type of the features that a head was trained on, by a checkpoint's facts of the encoder."""
    return str(facts.get("store", "float16"))


def _encode_views(
    pictures: list[Readable],
    ids: list[int],
    head: Head | TrainedNetwork,
    encoder: SeesImages,
    pool: ThreadPoolExecutor,
) -> tuple[NDArray[Any], list[str]]:
    """What is seen in the test views, and why an image has nothing; empty where it has something in all.

    Features (V, B, D), activations as their store has them, or pixels (V, B, 3, H, W).
    """
    (array,), prepare = encoder.arrays, encoder.preprocess()
    micro_batch, dtype = (_DECODED, "uint8") if isinstance(encoder, Pixels) else _how_encoded(head.encoder)
    features, reasons = [], [""] * len(pictures)
    for view in head.settings["test_views"]:
        prepared = pool.map(partial(_prepared, prepare, view, head.encoder, encoder.resized_px), pictures, ids)
        encoded = encode_pictures(prepared, encoder, micro_batch, len(pictures), dtype)
        features.append(encoded.arrays[array])
        for row, reason in encoded.reasons.items():
            reasons[row] = reasons[row] or reason
    return np.stack(features), reasons


def _how_encoded(facts: dict[str, Any]) -> tuple[int, str]:
    """Images that an encoder was given at once, and the type of what was kept of them."""
    return int(facts["micro_batch"]), stored_as(facts)


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
    head: Head | TrainedNetwork, x_VNX: NDArray[Any], reasons: list[str], device: torch.device
) -> NDArray[np.float64]:
    """Answers (N, C) from what is seen of N images, (V, N, …); NaN where the last N reasons are not empty."""
    rows_N = np.flatnonzero([not reason for reason in reasons[-x_VNX.shape[1] :]])
    answers_NC = np.full((x_VNX.shape[1], width_of(head)), np.nan)
    if len(rows_N):
        x = x_VNX[:, rows_N].reshape(-1, *x_VNX.shape[2:])
        answers_NC[rows_N] = answers_of(head, x, device, len(x_VNX))
    return answers_NC


def _ids(image_ids: Sequence[int] | None, count: int) -> list[int]:
    ids = [0] * count if image_ids is None else [int(image_id) for image_id in image_ids]
    if len(ids) != count:
        raise UnchokeError("Images and their ids are not as many.", found=f"{len(ids)} ids", expected=f"{count}")
    return ids
