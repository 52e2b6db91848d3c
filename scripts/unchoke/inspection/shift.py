"""Whether val and test look like train: the distance of each image to train, and a classifier two-sample test.

The test (Lopez-Paz and Oquab 2017, "Revisiting Classifier Two-Sample Tests", arXiv:1610.06545): a classifier learns on
one half of the images to tell a split from train. On the other half it is right as often as a coin where both are drawn
alike. As many images of either side are drawn, one of each group, so that images are independent.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import binom

from unchoke.heads.rows import Rows
from unchoke.heads.train import kind_of
from unchoke.inspection.neighbours import nearest, rows_of
from unchoke.inspection.samples import drawn, unit_numbers
from unchoke.names import UNLABELLED

COMPARED = ("val", "test", UNLABELLED)
FEWEST = 40
"""Images of either side, of different groups, below which there is no test."""
_MOST = 2000  # images of either side
_TYPICAL = 2000  # images of train whose distances are what is usual
_FAR = 0.95
BINS = 40

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class TwoSample(NamedTuple):
    """What the classifier is worth."""

    images: int
    """On which it was judged."""
    accuracy: float
    p_value: float
    """Chance that a coin is right at least as often."""


def find_shift(
    stored: Any, images: pd.DataFrame, settings: Mapping[str, Any], head: Mapping[str, Any], device: torch.device
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Distances of the images of the splits ``COMPARED``, and a summary of plain data.

    stored: features of all images, as of ``neighbours.unit_rows``. images: image_id, path, split and group of those
    that take part. settings: `k` and `seed`. head: settings of a ridge head. Columns of the table: those of
    ``tables.DISTANCE_COLUMNS``.
    """
    unit_n = unit_numbers(images, stored.shape[0])
    of_split = {name: part["image_id"].to_numpy(np.int64) for name, part in images.groupby("split")}
    typical = drawn(of_split["train"], _TYPICAL, settings["seed"])
    usual_T, _ = distances(stored, typical, of_split["train"], unit_n, settings["k"], device)
    usual_T = np.sort(usual_T[np.isfinite(usual_T)])
    parts, facts, found = [], {}, {"train": usual_T}
    for name in (split for split in COMPARED if split in of_split):
        ids = of_split[name]
        found[name], near_Q = distances(stored, ids, of_split["train"], unit_n, settings["k"], device)
        nearer_Q = np.searchsorted(usual_T, found[name]) / max(1, len(usual_T))
        told = two_sample(stored, of_split["train"], ids, unit_n, settings["seed"], head, device)
        far = float((nearer_Q >= _FAR).mean())
        facts[name] = {"images": len(ids), "far": far, "test": told._asdict() if told else None}
        parts.append(pd.DataFrame({"image_id": ids, "distance": found[name], "beyond": nearer_Q, "nearest": near_Q}))
    table = pd.concat(parts, ignore_index=True).sort_values("image_id", ignore_index=True)
    rows = images.set_index("image_id").loc[table["image_id"]].reset_index(drop=True)
    texts = {name: [f"{value:.6g}" for value in table[name]] for name in ("distance", "beyond")}
    return table.assign(path=rows["path"], split=rows["split"], **texts), {"splits": facts, **_histogram(found)}


def distances(
    stored: Any, asked: Ints, train: Ints, unit_n: torch.Tensor, k: int, device: torch.device
) -> tuple[Floats, Ints]:
    """One less the cosine of the k-th nearest image of train of another group, and the nearest one's id, (Q,) each.

    Where train has fewer than `k` others, the farthest of them counts; without any the distance is infinite, the id -1.
    """
    in_train = torch.zeros(stored.shape[0], dtype=torch.bool)
    in_train[torch.tensor(train)] = True
    unit_Q = unit_n[torch.tensor(asked)]

    def allowed(queries: slice, known: slice) -> torch.Tensor:
        return in_train[None, known] & (unit_Q[queries, None] != unit_n[None, known])

    cosine_Qk, place_Qk = nearest(rows_of(stored, asked), stored, k, device, allowed)
    last_Q = (place_Qk >= 0).sum(1) - 1
    cosine_Q = cosine_Qk[np.arange(len(asked)), np.maximum(last_Q, 0)].astype(np.float64)
    return np.where(last_Q >= 0, 1 - cosine_Q, np.inf), place_Qk[:, 0]


def two_sample(
    stored: Any,
    train: Ints,
    other: Ints,
    unit_n: torch.Tensor,
    seed: int,
    head: Mapping[str, Any],
    device: torch.device,
) -> TwoSample | None:
    """The classifier two-sample test of a split and train; None where there are fewer than ``FEWEST`` groups.

    Halves hold as many images of either side, so that a classifier without knowledge is right on half of them at best:
    the binomial p-value is an upper bound. A quarter of the first half chooses the penalty.
    """
    rng = np.random.default_rng(seed)
    one, two = (_one_a_unit(ids, unit_n, rng) for ids in (train, other))
    count = min(len(one), len(two), _MOST) // 8 * 8
    if count < FEWEST:
        return None
    x_ND = rows_of(stored, np.concatenate([one[:count], two[:count]]))
    y_N, place_N = np.repeat([0, 1], count), np.tile(np.arange(count), 2)
    parts = [place_N < count * 3 // 8, (place_N >= count * 3 // 8) & (place_N < count // 2), place_N >= count // 2]
    fit, val, judged = (_rows(x_ND[part], y_N[part], device) for part in parts)
    kind, settings = kind_of(dict(head)), {**head, "choose_by": "accuracy"}
    fitted = kind.fit(fit, val, 2, settings, device)
    said_N = kind.predict(fitted.replicates[0], settings, judged.x_ND, device).argmax(1)
    right = int((said_N == judged.y_N).sum())
    return TwoSample(count, right / count, float(binom.sf(right - 1, count, 0.5)))


def _one_a_unit(ids: Ints, unit_n: torch.Tensor, rng: np.random.Generator) -> Ints:
    """One image of each group, in random order."""
    ids = rng.permutation(ids)
    _, first = np.unique(unit_n[torch.tensor(ids)].numpy(), return_index=True)
    return ids[np.sort(first)]


def _rows(x_ND: NDArray[np.floating], y_N: Ints, device: torch.device) -> Rows:
    alone_N = np.full(len(y_N), "", object)
    return Rows(torch.tensor(x_ND).to(device), torch.tensor(y_N).to(device), np.arange(len(y_N)), alone_N)


def _histogram(found: Mapping[str, Floats]) -> dict[str, Any]:
    """Edges of the bins, and the share of the images of each split in each; plain data."""
    finite = {name: values[np.isfinite(values)] for name, values in found.items()}
    values = np.concatenate(list(finite.values()))
    high = float(values.max()) if len(values) else 1.0
    edges = np.linspace(min(0.0, float(values.min(initial=0))), max(high, 1e-6), BINS + 1)
    shares = {name: (np.histogram(x, edges)[0] / max(1, len(x))).tolist() for name, x in finite.items()}
    return {"edges": edges.tolist(), "shares": shares}
