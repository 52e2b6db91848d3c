"""Checkpoints read back: the same predictions, evaluated anew, and refused where they do not fit."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from small_features import LABELS, PIXELS, make_store, pixel_manifest, pixel_store, used

from unchoke.config.heads import Centroid, Knn, Linear, Logistic, Mlp, Ridge
from unchoke.errors import UnchokeError
from unchoke.heads.checkpoint import Head, evaluate_head, read_checkpoint
from unchoke.heads.train import TrainedHead, save_head, train_head
from unchoke.store.read import FeatureStore
from unchoke.store.tables import MANIFEST_COLUMNS, frame_bytes

SCRIPTS = Path(__file__).parents[3] / "scripts"
CPU = torch.device("cpu")
VIEWS = {"train_views": ["identity", "hflip"], "test_views": ["identity", "hflip"]}
GRADIENT = {"learning_rates": [0.01], "epochs": 2, "batch_size": 64}
KINDS: dict[str, dict[str, Any]] = {
    "logistic": Logistic(kind="logistic", choose_by="accuracy", c=[0.01]).model_dump(),
    "few": Logistic(kind="logistic", choose_by="accuracy", c=[1.0], shots=4, draws=3).model_dump(),
    "knn": Knn(kind="knn", choose_by="accuracy", k=[5], **VIEWS).model_dump(),
    "centroid": Centroid(kind="centroid", choose_by="accuracy").model_dump(),
    "ridge": Ridge(kind="ridge", choose_by="accuracy", penalty=[10.0], train_views=["hflip", "identity"]).model_dump(),
    "linear": Linear(kind="linear", choose_by="accuracy", seeds=[0, 1], **GRADIENT, **VIEWS).model_dump(),
    "mlp": Mlp(kind="mlp", choose_by="accuracy", hidden=16, seeds=[4], **GRADIENT).model_dump(),
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FeatureStore]:
    folder = tmp_path_factory.mktemp("stores")
    return {view: pixel_store(folder, view) for view in PIXELS}


@pytest.fixture(scope="module")
def manifest() -> pd.DataFrame:
    return pixel_manifest()


@pytest.fixture(scope="module")
def folder(
    stores: dict[str, FeatureStore], manifest: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[TrainedHead, Path]]:
    """Heads as they were trained, and their checkpoints."""
    place = tmp_path_factory.mktemp("checkpoints")
    made = {}
    for name, settings in KINDS.items():
        read = {view: stores[view] for view in sorted({*settings["train_views"], *settings["test_views"]})}
        head = train_head(read, manifest, settings, CPU)
        save_head(head, read, settings, place / name, place / f"{name}.safetensors")
        made[name] = (head, place / f"{name}.safetensors")
    return made


each_head = pytest.mark.parametrize("name", KINDS)


@each_head
def test_a_head_that_was_saved_predicts_the_same(name: str, folder: dict[str, tuple[TrainedHead, Path]]) -> None:
    trained, path = folder[name]
    head = read_checkpoint(path)
    assert (head.settings, head.classes) == (KINDS[name], [str(digit) for digit in range(10)])
    assert head.encoder == {"model": "pixels", "trained": True}
    views = KINDS[name]["test_views"]
    x_ND = np.concatenate([PIXELS[view][used("test")] for view in views]).astype(np.float16)
    np.testing.assert_allclose(head.logits(x_ND, views=len(views)), trained.logits_RNC["test"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@each_head
def test_a_head_evaluated_anew_has_the_figures_of_its_training(
    name: str,
    split: str,
    folder: dict[str, tuple[TrainedHead, Path]],
    stores: dict[str, FeatureStore],
    manifest: pd.DataFrame,
) -> None:
    trained, path = folder[name]
    figures = evaluate_head(read_checkpoint(path), stores, manifest, split, CPU)
    if split != "train":
        for figure, expected in trained.figures[split].items():
            found = figures[figure]
            assert repr(found) == repr(expected)  # where an end is not known it is NaN
    else:
        head, views = read_checkpoint(path), KINDS[name]["test_views"]
        x_ND = np.concatenate([PIXELS[view][used("train")] for view in views]).astype(np.float16)
        right = head.logits(x_ND, views=len(views)).argmax(-1) == LABELS[used("train")]
        assert figures["accuracy"].value == pytest.approx(right.mean())


# --- what does not fit


@pytest.fixture
def logistic(folder: dict[str, tuple[TrainedHead, Path]]) -> Head:
    return read_checkpoint(folder["logistic"][1])


def test_features_of_another_encoder_are_refused(logistic: Head, manifest: pd.DataFrame, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other.zarr", PIXELS["identity"], model="another")
    message = r"(?s)another encoder.*model another.*model pixels.*logistic\.safetensors.*other\.zarr.*own encoder"
    with pytest.raises(UnchokeError, match=message):
        evaluate_head(logistic, {"identity": other}, manifest, "test", CPU)


def test_other_classes_are_refused(logistic: Head, stores: dict[str, FeatureStore], manifest: pd.DataFrame) -> None:
    other = manifest.assign(label=manifest["label"].replace("7", "seven"))
    with pytest.raises(UnchokeError, match=r"(?s)other classes.*7, seven.*the 10 classes of .*train the head anew"):
        evaluate_head(logistic, stores, other, "test", CPU)


def test_a_view_that_is_not_given_is_named(
    folder: dict[str, tuple[TrainedHead, Path]], stores: dict[str, FeatureStore], manifest: pd.DataFrame
) -> None:
    head = read_checkpoint(folder["knn"][1])
    with pytest.raises(UnchokeError, match=r"(?s)view whose features are not given.*identity\n.*also hflip"):
        evaluate_head(head, {"identity": stores["identity"]}, manifest, "test", CPU)


def test_a_checkpoint_of_another_version_is_refused(
    folder: dict[str, tuple[TrainedHead, Path]], tmp_path: Path
) -> None:
    """Those of version 1 had no number before the names of tensors."""
    facts = {"version": 1, "settings": KINDS["logistic"], "classes": ["0"], "encoder": {}}
    path = tmp_path / "old.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata={"unchoke": json.dumps(facts)})
    with pytest.raises(UnchokeError, match=r"(?s)another version.*version 1.*old\.safetensors.*train the head anew"):
        read_checkpoint(path)


def not_a_checkpoint(kind: str, path: Path) -> Path:
    if kind == "weights":
        save_file({"weight": torch.zeros(2)}, path)
    elif kind == "torch":
        torch.save({"weight": torch.zeros(2)}, path)
    elif kind == "cut short":
        save_file({"weight": torch.zeros(2)}, path, metadata={"unchoke": "{}"})
        path.write_bytes(path.read_bytes()[:-3])
    elif kind == "facts that are no JSON":
        save_file({"weight": torch.zeros(2)}, path, metadata={"unchoke": "{"})
    elif kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes({"empty": b"", "text": b"hello " * 50}[kind])
    return path


@pytest.mark.parametrize(
    "kind", ["missing", "empty", "text", "folder", "weights", "torch", "cut short", "facts that are no JSON"]
)
def test_a_file_that_is_no_checkpoint_is_named(kind: str, tmp_path: Path) -> None:
    path = not_a_checkpoint(kind, tmp_path / "some.safetensors")
    with pytest.raises(UnchokeError, match=r"(?s)holds no head.*found: .*some\.safetensors.*folder checkpoints"):
        read_checkpoint(path)


# --- the command


def test_the_command_prints_json_that_any_program_reads(
    folder: dict[str, tuple[TrainedHead, Path]],
    stores: dict[str, FeatureStore],
    manifest: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: Any,
    capsys: Any,
) -> None:
    """What is not known is null; NaN is no JSON."""
    monkeypatch.syspath_prepend(SCRIPTS)
    table = manifest.assign(path="", size_bytes=0, mtime_ns=0)
    (tmp_path / "manifest.csv").write_bytes(frame_bytes(table, MANIFEST_COLUMNS))
    trained, path = folder["logistic"]
    flags = {"checkpoint": path, "stores": stores["identity"].path, "manifest": tmp_path / "manifest.csv"}
    flags |= {"device": "cpu", "threads": torch.get_num_threads()}
    import_module("evaluate_head").main([word for name, value in flags.items() for word in (f"--{name}", str(value))])

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    printed = json.loads(capsys.readouterr().out, parse_constant=refuse)
    accuracy = trained.figures["test"]["accuracy"]
    assert printed["accuracy"] == {
        "value": accuracy.value,
        "low": accuracy.low,
        "high": accuracy.high,
        "sd": None,
        "units": accuracy.units,
    }
