"""A dataset's folder of results with heads that were never trained: what the database is derived from."""

from pathlib import Path
from typing import Any

import numpy as np

from unchoke import versions
from unchoke.files import write_atomic
from unchoke.hashing import sha256_bytes
from unchoke.metrics.evaluation import METRICS
from unchoke.names import store_name
from unchoke.signed import signed_bytes
from unchoke.store import chunks, tables
from unchoke.store.origin import origin_file
from unchoke.store.zarr_bytes import MemoryGroup, place_group

ENCODER = {"model": "m", "trained": False, "weights_sha256": "0" * 64, "image_size": 32}
CLASSES = ["ant", "bee", "cat"]
LABEL = np.array([0, 1, 2, 0, 1, 2, 0, 1, 0])
TEST_IDS = list(range(7, 16))


def write_manifest(results: Path, groups: list[str] | None = None) -> None:
    """Sixteen images, the last nine of them of test."""
    splits = ["train"] * 5 + ["val"] * 2 + ["test"] * 9
    table = [
        (place, f"{place}.png", "ant", split, group, 1, 1, "")
        for place, (split, group) in enumerate(zip(splits, groups or [""] * 16, strict=True))
    ]
    write_atomic(results / "manifest.csv", tables.table_bytes(tables.MANIFEST_COLUMNS, table))


def fake_seal(**facts: Any) -> bytes:
    """A seal with these facts, of one chunk that is nowhere."""
    whole = {"images": 1, "chunk_size": facts.get("images", 1), "widths": {"avg": 2}}
    return signed_bytes({**whole, "sha256": {"avg": ["0"], "valid": ["0"]}, **facts})


def seal_of(results: Path, view: str = "identity") -> bytes:
    """The seal of the features of a view, written first."""
    path = chunks.seal_file(results / "features" / f"{store_name('tiny', view)}.zarr")
    write_atomic(path, fake_seal(images=16, invalid=[], view=view))
    return path.read_bytes()


def write_rounding(store: Path, coarsened: int) -> None:
    """A seal and an origin, by which rounding coarsens so many of the 64 features of a map."""
    rounding = {"s4": {"features": 64, "coarsened": coarsened}}
    facts = {"seal_sha256": sha256_bytes(b"seal"), "settings": {"store": "float16"}, "made": [], "rounding": rounding}
    write_atomic(chunks.seal_file(store), b"seal")
    write_atomic(origin_file(store), signed_bytes(facts))


def add_head(
    results: Path,
    name: str,
    *,
    val: float = 0.5,
    predicted: np.ndarray = LABEL,
    keep: list[int] | None = None,
    image_ids: list[int] = TEST_IDS,
    encoder: dict[str, Any] = ENCODER,
    arrays: dict[str, np.ndarray] | None = None,
    repeat: int = 0,
    **facts: Any,
) -> None:
    """A head whose replicates predict `predicted` (R, N) or (N,); figures of test follow, those of val are `val`.

    keep: places of test that the head has, in its order. arrays: labels and logits that stand in the place of these.
    repeat: of the split.
    """
    seal, folder = seal_of(results), results / f"repeats/{repeat}" if repeat else results
    places = list(range(len(LABEL))) if keep is None else keep
    predicted_RN = np.atleast_2d(predicted)[:, places]
    label_N = LABEL[places]
    shares = (predicted_RN == label_N).mean(1)
    sd = float(shares.std(ddof=1)) if len(shares) > 1 else None
    facts = {
        "version": versions.HEADS,
        "settings": {"kind": "knn", "pool": "avg"},
        "classes": CLASSES,
        "encoder": encoder,
        "features_sha256": {"identity": sha256_bytes(seal)},
        "chosen": {"k": 3},
        "history": {"k": [1, 3], "val_score": [0.25, 0.5]},
        "metrics": {"val": _figures(val, None), "test": _figures(float(shares.mean()), sd)},
        "images": {"train": 5, "val": 2, "test": len(places)},
        "replicates": len(predicted_RN),
        "temperatures": [1.0] * len(predicted_RN),
        "checkpoint_sha256": sha256_bytes(name.encode()),
        **facts,
    }
    group = MemoryGroup(facts)
    found = {"val_logits": np.zeros((len(predicted_RN), 2, 3)), "test_logits": np.eye(3)[predicted_RN]}
    found |= {"val_label": np.array([0, 1]), "test_label": label_N} | (arrays or {})
    for array, values in found.items():
        kind = np.float32 if values.ndim == 3 else np.float64 if values.ndim == 2 else np.int64  # (N, K): no classes
        group.root.create_array(array, data=values.astype(kind))
    group.root.create_array("val_image_id", data=np.arange(len(found["val_label"])))
    group.root.create_array("test_image_id", data=np.array(image_ids)[places])
    place_group(group.contents(), folder / "heads/tiny.zarr" / name)
    write_atomic(folder / f"checkpoints/tiny/{name}.safetensors", name.encode())
    write_atomic(folder / f"runs/tiny/{name}.json", signed_bytes({"seconds": 1.5, "environment": {"torch": "2"}}))


def _figures(accuracy: float, sd: float | None) -> dict[str, dict[str, float | None]]:
    """The same for every figure but auroc, which is not known."""
    known = {"value": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1, "sd": sd, "units": len(LABEL)}
    unknown = {**dict.fromkeys(known), "units": len(LABEL)}
    return {name: unknown if name == "auroc" else known for name in METRICS}
