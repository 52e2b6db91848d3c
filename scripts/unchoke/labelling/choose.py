"""Stage: the list of images to label next, by features of one encoder or by what a head says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import xxhash
from numpy.typing import NDArray

from unchoke import versions
from unchoke.cleaning.clean import selected
from unchoke.errors import UnchokeError
from unchoke.files import json_bytes, write_atomic
from unchoke.heads.checkpoint import Head, read_checkpoint
from unchoke.heads.rows import readable, refuse_not_finite
from unchoke.inspection.neighbours import nearest, rows_of
from unchoke.labelling.diverse import farthest_first
from unchoke.labelling.predictions import answers, likeliest
from unchoke.labelling.typical import mean_distances, most_typical
from unchoke.names import NO_LABEL, UNLABELLED
from unchoke.store import tables
from unchoke.store.read import FeatureStore, open_views

BLOCK = 8192  # images that are read at once

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Ordered(NamedTuple):
    """The images to label, M of them, the first first."""

    image_id_M: Ints
    value_M: Floats
    """Of diverse the distance to the nearest image before it, of typical the mean distance to its neighbours, of
    uncertain the margin."""
    facts: dict[str, Any]
    """What else is said of the choice; plain data."""
    classes: tuple[Sequence[str], Sequence[str]] | None = None
    """Of uncertain the likeliest class of each, and the second."""


@dataclass(frozen=True)
class Candidates:
    """The images that may be listed, N of them, and those of train that they are set against."""

    frame: pd.DataFrame
    """Columns image_id, path, label and split, ``unlabelled`` of those without a label."""
    covered_T: Ints
    """Ids of the images of train in use that are no candidates."""
    label_T: NDArray[np.object_]
    features: dict[str, FeatureStore]
    """By view."""
    settings: Mapping[str, Any]
    """As ``targets.listing.listing_of`` gives them."""
    device: torch.device

    @property
    def image_id_N(self) -> Ints:
        return self.frame["image_id"].to_numpy(np.int64)

    @property
    def draw_N(self) -> NDArray[np.uint64]:
        """The order of equals: XXH3-64 of each path, seeded; it depends on neither the machine nor the other images."""
        seed, paths = self.settings["seed"], self.frame["path"]
        draws = [xxhash.xxh3_64_intdigest(path.encode("utf-8", "surrogateescape"), seed=seed) for path in paths]
        return np.array(draws, np.uint64)

    @property
    def store(self) -> FeatureStore:
        """Of the first view."""
        return next(iter(self.features.values()))

    @property
    def stored(self) -> Any:
        """The features of all images, which Zarr reads a slice at a time."""
        return self.store.group[self.settings["pool"]]


def list_to_label(
    stores: Sequence[Path],
    manifest: Path,
    selection: Path,
    checkpoint: Path | None,
    settings: Mapping[str, Any],
    device: torch.device,
    listing: Path,
    summary: Path,
) -> dict[str, Any]:
    """Write ``tables.TO_LABEL_COLUMNS``, a row an image to label, and a summary; return the summary.

    stores: sealed features in each view that is read. selection: images that heads leave out. checkpoint: of the head
    that is uncertain, else None. settings: as ``targets.listing.listing_of`` gives them. Raises UnchokeError where
    there are too few images, or where features are not finite or all the same.
    """
    head = read_checkpoint(checkpoint) if checkpoint else None
    pool = {"pool": head.settings["pool"]} if head else {}
    images = candidates_of(manifest, selection, open_views(stores), {**settings, **pool}, device)
    ordered = _uncertain(images, head) if head else {"diverse": _diverse, "typical": _typical}[settings["how"]](images)
    table = _table(images, ordered)
    write_atomic(listing, tables.frame_bytes(table, tables.TO_LABEL_COLUMNS))
    result = {
        "version": versions.LISTING,
        "settings": dict(settings),
        "candidates": len(images.frame),
        "covered": len(images.covered_T),
        "listed": len(table),
        **ordered.facts,
    }
    write_atomic(summary, json_bytes(result))
    return result


def candidates_of(
    manifest: Path,
    selection: Path | None,
    features: dict[str, FeatureStore],
    settings: Mapping[str, Any],
    device: torch.device,
) -> Candidates:
    """The readable images of the splits of the settings; UnchokeError where they are fewer than are to be listed."""
    chosen = selected(manifest, selection)
    place = chosen["split"].where(chosen["excluded"] != NO_LABEL, UNLABELLED)
    usable = readable(features, chosen) & chosen["excluded"].isin(["", NO_LABEL])
    candidate = usable & place.isin(settings["splits"])
    found = chosen.assign(split=place)[candidate]
    if len(found) < settings["n"]:
        raise _too_few(place[usable], settings, len(found), str(manifest))
    covered = usable & ~candidate & (place == "train")
    train = chosen.loc[covered, ["image_id", "label"]]
    of_train = train["image_id"].to_numpy(np.int64), train["label"].to_numpy(object)
    return Candidates(found[["image_id", "path", "label", "split"]], *of_train, features, settings, device)


def _too_few(place: pd.Series, settings: Mapping[str, Any], found: int, where: str) -> UnchokeError:
    """The error where fewer images may be listed than are asked for. place: split of each image that can be used."""
    counts = ", ".join(f"{count:,} {name}" for name, count in place.value_counts().sort_index().items())
    named, how = ", ".join(settings["splits"]), settings["how"]
    return UnchokeError(
        "There are fewer images than are to be listed." if found else f"There is no image to list: none is of {named}.",
        found=f"{found:,} of {named}, of images that can be used: {counts or 'none'}",
        expected=f"at least {settings['n']:,}, subset.{how}",
        where=where,
        do=(f"lower subset.{how} to {found:,} or less" if found else "add images without a label")
        + ", name other splits in subset.splits, or set subset to null where all are labelled",
    )


def _diverse(images: Candidates) -> Ordered:
    """Farthest-first, from the images of train on."""
    ids, n = images.image_id_N, images.settings["n"]
    blocks = [slice(start, min(start + BLOCK, len(ids))) for start in range(0, len(ids), BLOCK)]
    gap_N = np.concatenate([_gaps(images, ids[block])[0] for block in blocks])
    found = farthest_first(
        lambda place_B: _unit_rows(images, ids[place_B]),
        gap_N,
        images.draw_N,
        n,
        blocks,
        told=lambda count: print(f"{count:,} of {n:,} images chosen", flush=True),
    )
    enough = 1 if len(images.covered_T) else min(n, 2)
    if len(found.place_M) < enough:
        raise _all_equal(images)
    return Ordered(ids[found.place_M], found.gap_M, {"radius": found.radius})


def _typical(images: Candidates) -> Ordered:
    """The most typical ones, set apart from each other and from the images of train."""
    may_ids, k = images.image_id_N, images.settings["k"]
    ids = np.union1d(may_ids, images.covered_T)
    parts = [_neighbours(images, ids, slice(start, start + BLOCK), k) for start in range(0, len(ids), BLOCK)]
    cosine_Nk, near_Nk = (np.concatenate(part) for part in zip(*parts, strict=True))
    distance_N, may_N = mean_distances(cosine_Nk, near_Nk), np.isin(ids, may_ids)
    if len(ids) > 1 and distance_N.max() == 0:
        raise _all_equal(images)
    draw_N = np.zeros(len(ids), np.uint64)
    draw_N[may_N] = images.draw_N
    place_M = most_typical(near_Nk, distance_N, may_N, draw_N, images.settings["n"])
    return Ordered(ids[place_M], distance_N[place_M], {})


def _uncertain(images: Candidates, head: Head) -> Ordered:
    """Those of the smallest margin first."""
    said = [likeliest(p_BC) for p_BC in answers(head, images.features, images.image_id_N, images.device)]
    margin_N, place_N2 = (np.concatenate([getattr(one, name) for one in said]) for name in ("margin_N", "place_N2"))
    place_M = np.lexsort((images.draw_N, margin_N))[: images.settings["n"]]
    names_M2 = np.array(head.classes, object)[place_N2[place_M]]
    classes = names_M2[:, 0].tolist(), names_M2[:, 1].tolist()
    return Ordered(images.image_id_N[place_M], margin_N[place_M], {}, classes)


def _neighbours(images: Candidates, ids: Ints, part: slice, k: int) -> tuple[NDArray[np.float32], Ints]:
    """Cosine and place among `ids` of the nearest others of some of them."""
    asked = torch.tensor(ids[part])
    taken = _membership(images, ids)

    def allowed(queries: slice, known: slice) -> torch.Tensor:
        return taken[None, known] & (asked[queries, None] != torch.arange(known.start, known.stop)[None])

    cosine_Bk, near_Bk = nearest(_finite_rows(images, ids[part]), images.stored, k, images.device, allowed)
    print(f"neighbours of {min(part.stop, len(ids)):,} of {len(ids):,} images found", flush=True)
    return cosine_Bk, np.where(near_Bk >= 0, np.searchsorted(ids, near_Bk), -1)


def _gaps(images: Candidates, image_id_B: Ints) -> tuple[Floats, Ints]:
    """Distance to the nearest covered image and its id, of some images; infinite and -1 where none is covered."""
    if not len(images.covered_T):
        return np.full(len(image_id_B), np.inf), np.full(len(image_id_B), -1, np.int64)
    taken = _membership(images, images.covered_T)
    rows_BD = _finite_rows(images, image_id_B)
    cosine_B1, near_B1 = nearest(rows_BD, images.stored, 1, images.device, lambda _, known: taken[None, known])
    return np.maximum(1 - cosine_B1[:, 0].astype(np.float64), 0), near_B1[:, 0]


def _membership(images: Candidates, ids: Ints) -> torch.Tensor:
    """Which of the stored images these are, bool."""
    taken = torch.zeros(images.stored.shape[0], dtype=torch.bool)
    taken[torch.tensor(ids)] = True
    return taken


def _finite_rows(images: Candidates, image_id_B: Ints) -> NDArray[np.floating]:
    rows_BD = rows_of(images.stored, image_id_B)
    refuse_not_finite(rows_BD, image_id_B, images.features)
    return rows_BD


def _unit_rows(images: Candidates, image_id_B: Ints) -> Floats:
    """Features of length 1, float64; rows of zeros stay so."""
    rows_BD = _finite_rows(images, image_id_B).astype(np.float64)
    length_B1 = np.linalg.norm(rows_BD, axis=1, keepdims=True)
    return np.asarray(rows_BD / np.where(length_B1 > 0, length_B1, 1))


def _all_equal(images: Candidates) -> UnchokeError:
    of_train = ", and those of train" if len(images.covered_T) else ""
    return UnchokeError(
        f"All images to list{of_train} have the same features: nothing says which to label first.",
        found=f"{len(images.frame):,} equal rows",
        where=str(images.store.path),
        do="look at the images, and at encoders.*.weights and image_size",
    )


def _table(images: Candidates, ordered: Ordered) -> pd.DataFrame:
    """The list with the nearest image of train, whose label may be the right one."""
    rows = images.frame.set_index("image_id").loc[ordered.image_id_M].reset_index()
    _, near_M = _gaps(images, ordered.image_id_M) if len(rows) else (None, np.empty(0, np.int64))
    none = [""] * len(rows)
    label_of = dict(zip(images.covered_T.tolist(), images.label_T, strict=True))
    predicted, second = ordered.classes or (none, none)
    return rows.assign(
        rank=range(1, len(rows) + 1),
        value=["" if np.isinf(value) else f"{value:.6g}" for value in ordered.value_M],
        nearest=near_M,
        nearest_label=[label_of.get(image_id, "") for image_id in near_M.tolist()],
        predicted=predicted,
        second=second,
    )
