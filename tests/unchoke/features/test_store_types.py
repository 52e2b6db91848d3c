"""Features as float32: what float16 rounds away is kept, from the chunk to the head, and float16 stays as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_features import LABELS, PIXELS, make_store, pixel_manifest

from unchoke.config.heads import Linear, Logistic, Ridge
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Extraction, Picture, encode_pictures
from unchoke.heads import task
from unchoke.heads.train import train_head
from unchoke.store import chunks
from unchoke.store.compare import compare_stores

DTYPES = ("float32", "float16")
CPU = torch.device("cpu")
HEADS = {
    "logistic": Logistic(kind="logistic", choose_by="accuracy", c=[0.1]),
    "ridge": Ridge(kind="ridge", choose_by="accuracy"),
    "linear": Linear(kind="linear", choose_by="accuracy", learning_rates=[0.1], seeds=[0], epochs=5),
}


def accuracy(folder: Path, x_ND: np.ndarray, dtype: str, head: Any) -> float:
    """Share of the test images whose largest logit is that of their digit."""
    store = make_store(folder / "x.zarr", x_ND, dtype=dtype)
    trained = train_head({"identity": store}, pixel_manifest(), head.model_dump(), CPU)
    found_N = np.array(trained.classes).astype(int)[trained.logits_RNC["test"][0].argmax(1)]
    return float((found_N == LABELS[trained.rows["test"].image_id_N]).mean())


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize(("factor", "offset"), [(0.3, 10_000), (2.2e-9, 0)])
def test_float32_keeps_what_float16_loses(tmp_path: Path, kind: str, factor: float, offset: float) -> None:
    """Steps of float16 are 8 at 10,000, and 6e-8 near 0: of the 17 greys two are left."""
    x_ND = PIXELS["identity"]  # 0 to 16
    plain = accuracy(tmp_path / "plain", x_ND, "float32", HEADS[kind])
    moved_ND = x_ND * factor + offset
    kept, lost = (accuracy(tmp_path / dtype, moved_ND, dtype, HEADS[kind]) for dtype in DTYPES)
    assert plain > 0.9 and abs(kept - plain) < 0.01
    assert lost < plain - 0.02


@pytest.mark.parametrize("prepared", [0, 10**9])
def test_members_see_float32_features_as_they_see_float16(
    tmp_path: Path, prepared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole numbers are the same in both; features too many to be standardised beforehand are so batch by batch."""
    monkeypatch.setattr(task, "_PREPARED", prepared)
    one, two = (make_store(tmp_path / f"{dtype}.zarr", PIXELS["identity"], dtype=dtype) for dtype in DTYPES)
    heads = [train_head({"identity": s}, pixel_manifest(), HEADS["linear"].model_dump(), CPU) for s in (one, two)]
    np.testing.assert_array_equal(heads[0].logits_RNC["test"], heads[1].logits_RNC["test"])
    for part in heads[0].rows.values():
        np.testing.assert_array_equal(part.x_ND, PIXELS["identity"][part.image_id_N])


def test_the_store_says_its_type_where_it_is_not_float16(tmp_path: Path) -> None:
    x_ND = np.random.default_rng(0).normal(size=(10, 3))
    store, half = (make_store(tmp_path / f"{dtype}.zarr", x_ND, dtype=dtype) for dtype in DTYPES)
    assert store.group["avg"].dtype == np.float32 and half.group["avg"].dtype == np.float16
    np.testing.assert_array_equal(store.features("avg"), x_ND.astype(np.float32))
    np.testing.assert_array_equal(chunks.read_chunk(store.path, 0)["avg"], x_ND[:5].astype(np.float32))
    assert store.seal["dtypes"] == {"avg": "float32"} == chunks.read_record(store.path, 1)["dtypes"]
    assert "dtypes" not in half.seal and "dtypes" not in chunks.read_record(half.path, 0)
    found = compare_stores(store, half)
    assert not found.equal and compare_stores(store, half, 1e-3).within_tolerance


def test_chunks_of_two_types_are_no_store(tmp_path: Path) -> None:
    store = make_store(tmp_path / "x.zarr", np.zeros((4, 3)))
    valid = np.ones(2, bool)
    chunks.write_chunk(store.path, 1, {"avg": np.zeros((2, 3), np.float32), "valid": valid}, {})
    with pytest.raises(UnchokeError, match="Chunk 1 of x is missing or changed"):
        chunks.seal(store.path, 4, {"avg": [2, 3], "valid": [2]}, {"settings": {}}, {"invalid": []})


def test_settings_say_the_type_where_it_is_not_float16() -> None:
    assert "store" not in Extraction(8, 4).facts()
    assert Extraction(8, 4, store="float32").facts() == {**Extraction(8, 4).facts(), "store": "float32"}


class Loud:
    """An encoder whose one map is beyond float16's largest number, 65,504."""

    arrays, image_size = {"s4": 2}, 8

    def encode(self, images: torch.Tensor) -> dict[str, np.ndarray]:
        return {"s4": np.full((len(images), 2, 2, 2), 70_000.5, np.float32)}


def test_float32_holds_what_float16_calls_infinite() -> None:
    pictures = [Picture(torch.zeros(3, 8, 8, dtype=torch.uint8))] * 2
    kept, lost = (encode_pictures(pictures, Loud(), 4, 3, dtype) for dtype in DTYPES)
    assert kept.valid_N.tolist() == [True, True, False] and (kept.arrays["s4"][:2] == 70_000.5).all()
    assert set(lost.reasons.values()) == {"its features are not finite in float16"}
