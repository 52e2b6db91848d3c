"""How well are wrong labels found, beside cleanlab on the same probabilities?

Limit:  the share of the flipped labels among as many as were flipped is at most 0.02 below the best of cleanlab's three
        rankings, and the F1 of the list at most 0.02 below that of cleanlab's own default; the ranking takes less time
        and less memory.

The digits of scikit-learn, or with --folder photographs with one folder a class (--data), pass EfficientNet-Lite0 with
the weights of its package. A seeded share of the labels is flipped to another class, drawn evenly. The rule
`mislabelled` ranks labels by margin from its own out-of-fold probabilities, cleanlab from the same ones. Among as many
labels as were flipped precision and recall are equal, `at n`. `listed` are precision, recall and F1 of what each lists
by itself: cleanlab by each of its filters, of which the first is its default. Labels that were wrong before count as
mistakes of both. Time and memory are of the ranking and the list, with the probabilities repeated to --scale rows;
memory as Python and NumPy allocate it at the most.
"""

import argparse
import importlib.util
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import PHOTOGRAPHS, Limit, benchmark_parser, report, skip_without
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits

from unchoke.config.heads import Logistic, Ridge
from unchoke.encoders.encoder import Encoder, load_encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.heads.rows import Rows
from unchoke.inspection.confident import doubts
from unchoke.inspection.folds import deal_folds
from unchoke.inspection.mislabelled import flip_labels
from unchoke.inspection.out_of_fold import chosen_settings, out_of_fold

SHARES, FOLDS, HELD, CPU = (0.05, 0.10), 5, 0.15, torch.device("cpu")
RANKINGS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
"""Of cleanlab."""
FILTERS = ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "low_self_confidence")
"""Of cleanlab: how it cuts a list."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def encode(data: Path | None, size_px: int) -> tuple[NDArray[np.float16], Ints]:
    """Features (N, D) and labels (N,) of the digits, or of the photographs of a folder."""
    with tempfile.TemporaryDirectory(prefix="unchoke-bench-") as folder:
        weights, card = Path(folder) / "w.safetensors", Path(folder) / "w.json"
        fetch_weights("tf_efficientnet_lite0", "packaged", 0, weights, card)
        encoder = load_encoder(weights, card, size_px, ["avg"], CPU, "float32")
        pictures, y_N = photographs(data) if data else digits()
        parts = [_features(encoder, pictures[start : start + 64]) for start in range(0, len(pictures), 64)]
    return np.concatenate(parts), y_N


def digits() -> tuple[list[Any], Ints]:
    found = load_digits()
    return [Image.fromarray((image * 15.9).astype(np.uint8)) for image in found.images], found.target.astype(np.int64)


def photographs(data: Path) -> tuple[list[Any], Ints]:
    folders = sorted(path for path in data.iterdir() if path.is_dir())
    files = [(file, place) for place, folder in enumerate(folders) for file in sorted(folder.iterdir())]
    return [file for file, _ in files], np.array([place for _, place in files])


def _features(encoder: Encoder, pictures: list[Any]) -> NDArray[np.float16]:
    opened = (one if isinstance(one, Image.Image) else Image.open(one) for one in pictures)
    prepare = encoder.preprocess()
    batch = torch.stack([prepare(picture.convert("RGB")) for picture in opened])
    return encoder.encode(batch)["avg"].astype(np.float16)


def probabilities_of(x_ND: NDArray[np.float16], y_N: Ints, kind: str) -> tuple[Floats, float]:
    """Out-of-fold probabilities of given labels, by the rule's own functions, and the seconds that they took."""
    started, names = time.perf_counter(), [str(row) for row in range(len(y_N))]
    head = (Ridge(kind="ridge") if kind == "ridge" else Logistic(kind="logistic")).model_dump()
    rng = np.random.default_rng(1)
    held_N = rng.random(len(y_N)) < HELD
    n_classes, alone_N = int(y_N.max()) + 1, np.full(len(y_N), "", object)
    whole = Rows(torch.from_numpy(x_ND), torch.from_numpy(y_N), np.arange(len(y_N)), alone_N)
    train, val = (
        Rows(whole.x_ND[used], whole.y_N[used], whole.image_id_N[used], whole.group_N[used])
        for used in (np.flatnonzero(~held_N), np.flatnonzero(held_N))
    )
    chosen = chosen_settings(train, val, n_classes, head | {"choose_by": "log_loss"}, CPU)
    fold_N = deal_folds(y_N, alone_N, names, FOLDS, 0)
    return out_of_fold(whole, fold_N, n_classes, chosen, CPU), time.perf_counter() - started


def scores_of(ranked_N: Ints | None, listed: Ints | None, wrong_N: NDArray[np.bool_]) -> list[float | None]:
    """Share of wrong labels among as many as there are, then precision, recall and F1 of the list."""
    total = int(wrong_N.sum())
    at_n = None if ranked_N is None else float(wrong_N[ranked_N[:total]].mean())
    if listed is None:
        return [at_n, None, None, None]
    right = int(wrong_N[listed].sum())
    return [at_n, right / max(1, len(listed)), right / total, 2 * right / (len(listed) + total)]


def ranked(side: str, p_NC: Floats, y_N: Ints) -> tuple[Ints | None, Ints | None]:
    """All places, the most doubtful first, and those that the side lists; None where it does not do one of them."""
    if side == "ours":
        said = doubts(p_NC, y_N)
        return np.argsort(-said.margin_N, kind="stable"), said.above(0.0)
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    if side in FILTERS:
        return None, np.flatnonzero(find_label_issues(y_N, p_NC, filter_by=side, n_jobs=1))
    return np.argsort(get_label_quality_scores(y_N, p_NC, method=side), kind="stable"), None


def both(side: str, p_NC: Floats, y_N: Ints) -> None:
    """The ranking and the list of a side, cleanlab's by its default filter."""
    ranked(side, p_NC, y_N)
    if side in RANKINGS:
        ranked(FILTERS[0], p_NC, y_N)


def cost_of(side: str, p_NC: Floats, y_N: Ints, scale: int) -> tuple[float, float]:
    """Seconds, and MB added, of one side on repeated probabilities; once before, on few, for what is made once."""
    times = -(-scale // len(y_N))
    p_NC, y_N = np.tile(p_NC, (times, 1))[:scale], np.tile(y_N, times)[:scale]
    both(side, p_NC[:1000], y_N[:1000])
    started = time.perf_counter()
    both(side, p_NC, y_N)
    seconds = time.perf_counter() - started
    tracemalloc.start()
    both(side, p_NC, y_N)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / 2**20


def limits_of(found: dict[str, list[float | None]], peers: Sequence[str], share: float) -> list[Limit]:
    """At n against the best ranking, and F1 against the default list."""
    if not peers:
        return []
    least = {
        "at n": (0, max(found[peer][0] or 0.0 for peer in peers) - 0.02),
        "F1 listed": (3, (found[FILTERS[0]][3] or 0.0) - 0.02),
    }
    ours = {name: found["ours"][place] or 0.0 for name, (place, _) in least.items()}
    return [
        Limit(f"{name}, {share:.0%}", f"{ours[name]:.3f}", f"{bound:.3f}", ours[name] >= bound)
        for name, (_, bound) in least.items()
    ]


def compare(args: argparse.Namespace) -> int:
    if args.folder:
        skip_without(args.data)
    x_ND, true_N = encode(args.data if args.folder else None, args.image_size)
    peers = RANKINGS if importlib.util.find_spec("cleanlab") else ()
    if not peers:
        print("cleanlab is not installed: its rows are left out (pip install cleanlab)")
    table = [["", "at n", "precision listed", "recall listed", "F1 listed", "s", "added MB"]]
    limits, figures, costs = [], {}, {}
    for share in SHARES:
        y_N = flip_labels(true_N, share, int(true_N.max()) + 1, args.seed)
        p_NC, seconds = probabilities_of(x_ND, y_N, args.kind)
        print(f"{share:.0%} flipped of {len(y_N):,}: probabilities by {args.kind} in {seconds:.1f} s")
        costs = costs or {side: cost_of(side, p_NC, y_N, args.scale) for side in ("ours", *peers)}
        sides = ("ours", *peers, *(FILTERS if peers else ()))
        found = {side: scores_of(*ranked(side, p_NC, y_N), y_N != true_N) for side in sides}
        for side, scores in found.items():
            cost = (f"{costs[side][0]:.2f}", f"{costs[side][1]:.0f}") if side in costs else ("", "")
            cells = ("" if value is None else f"{value:.3f}" for value in scores)
            table.append([f"{side}, {share:.0%}", *cells, *cost])
        figures[str(share)] = found
        limits += limits_of(found, peers, share)
    for place, unit in enumerate(("s", "MB") if peers else ()):
        least = min(costs[peer][place] for peer in peers)
        limits.append(
            Limit(
                f"{unit}, {args.scale:,} rows",
                f"{costs['ours'][place]:.2f}",
                f"{least:.2f}",
                costs["ours"][place] <= least,
            )
        )
    return report(args, table, limits, {"found": figures, "costs": costs})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--folder", action="store_true", help=f"photographs, of {PHOTOGRAPHS.name} by default")
    parser.add_argument("--kind", choices=("ridge", "logistic"), default="logistic", help="the head")
    parser.add_argument("--image-size", type=int, default=96, help="height and width of what the encoder sees, px")
    parser.add_argument("--seed", type=int, default=0, help="seed of the flipped labels")
    parser.add_argument("--scale", type=int, default=100_000, help="rows of the timed rankings")
    return compare(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
