"""What heads say of images without a label: the same as of any other image, and beside all figures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from small_features import PIXELS, SPLIT, UNREADABLE, N, make_store, pixel_manifest, pixel_store

from unchoke.config.heads import Knn, Ridge
from unchoke.errors import UnchokeError
from unchoke.heads.checkpoint import read_checkpoint
from unchoke.heads.train import save_head, train_head
from unchoke.labelling import predictions
from unchoke.labelling.predictions import answers, predict_unlabelled
from unchoke.names import NO_LABEL
from unchoke.store import tables

CPU = torch.device("cpu")
WAITING = [*np.flatnonzero(SPLIT == "train")[:30].tolist(), UNREADABLE[0]]
VIEWS = {"train_views": ["identity", "hflip"], "test_views": ["identity", "hflip"]}


def manifest_of(waiting: list[int]) -> pd.DataFrame:
    frame = pixel_manifest().assign(size_bytes=1, mtime_ns=1, path=[f"{row}.png" for row in range(N)])
    frame.loc[waiting, ["label", "split", "excluded"]] = ["", "", NO_LABEL]
    return frame


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two views of digits, some without a label, and a ridge and a knn head that were trained beside them."""
    folder, frame = tmp_path_factory.mktemp("waiting"), manifest_of(WAITING)
    features = {view: pixel_store(folder, view) for view in PIXELS}
    (folder / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    for head in (Ridge(kind="ridge", choose_by="accuracy", **VIEWS), Knn(kind="knn", choose_by="accuracy", k=[3])):
        settings = head.model_dump()
        read = {view: features[view] for view in settings["test_views"]}
        trained, checkpoint = train_head(read, frame, settings, CPU), folder / f"{head.kind}.st"
        save_head(trained, read, settings, folder / head.kind, checkpoint)
    return folder


def predict(folder: Path, kind: str = "ridge", views: tuple[str, ...] = ("identity", "hflip")) -> pd.DataFrame:
    stores = [folder / f"{view}.zarr" for view in views]
    file = folder / f"{kind}.csv"
    predict_unlabelled(stores, folder / "manifest.csv", folder / f"{kind}.st", CPU, file)
    return tables.read_table(file, tables.PREDICTION_COLUMNS)


def test_a_head_says_of_them_what_its_weights_say(folder: Path) -> None:
    table, head = predict(folder), read_checkpoint(folder / "ridge.st")
    ids = [row for row in WAITING if row not in UNREADABLE]
    assert table["image_id"].tolist() == sorted(ids)
    assert table["path"].tolist() == [f"{row}.png" for row in sorted(ids)]
    (tensors,) = [{name: tensor.double().numpy() for name, tensor in one.items()} for one in head.replicates]
    indicators = [
        (PIXELS[view][sorted(ids)] - tensors["mean"]) / tensors["scale"] @ tensors["weight"].T + tensors["bias"]
        for view in VIEWS["test_views"]
    ]
    logits = [np.log(np.maximum(one, 1e-3)) + 1e-3 * one for one in indicators]  # as documented in kinds/ridge.py
    mean_NC = np.log(np.mean([softmax(each, 1) for each in logits], 0))
    expected_NC = softmax(mean_NC / head.temperatures[0], 1)
    order_NC = np.argsort(-expected_NC, 1)
    assert table["predicted"].tolist() == [head.classes[place] for place in order_NC[:, 0]]
    assert table["second"].tolist() == [head.classes[place] for place in order_NC[:, 1]]
    top_N2 = -np.sort(-expected_NC, 1)[:, :2]
    np.testing.assert_allclose(table["probability"].astype(float), top_N2[:, 0], rtol=1e-3)
    np.testing.assert_allclose(table["margin"].astype(float), top_N2[:, 0] - top_N2[:, 1], rtol=1e-2, atol=1e-4)
    true = pixel_manifest()["label"][sorted(ids)]
    assert (table["predicted"].to_numpy() == true.to_numpy()).mean() > 0.8


def test_images_without_a_label_are_in_no_split_of_a_head(folder: Path) -> None:
    facts = train_head({"identity": pixel_store(folder / "again")}, manifest_of(WAITING), head_settings(), CPU)
    seen = np.concatenate([rows.image_id_N for rows in facts.rows.values()])
    assert not set(seen) & set(WAITING) and len(seen) == N - len({*WAITING, *UNREADABLE})


def head_settings() -> dict[str, object]:
    return Knn(kind="knn", choose_by="accuracy", k=[3]).model_dump()


def test_blocks_say_what_all_at_once_say(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = predict(folder, "knn", ("identity",))
    monkeypatch.setattr(predictions, "BLOCK", 7)
    pd.testing.assert_frame_equal(predict(folder, "knn", ("identity",)), before)


def test_features_that_are_not_the_head_s_or_not_finite_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match="reads a view whose features are not given"):
        predict(folder, "ridge", ("identity",))
    head, broken_ND = read_checkpoint(folder / "knn.st"), PIXELS["identity"].copy()
    broken_ND[40, 3] = np.nan
    features = {"identity": make_store(tmp_path / "nan.zarr", broken_ND)}
    with pytest.raises(UnchokeError, match=r"(?s)not finite.*image_id 40"):
        list(answers(head, features, np.array([3, 40]), CPU))
    other = {"identity": make_store(tmp_path / "other.zarr", PIXELS["identity"], model="another")}
    with pytest.raises(UnchokeError, match="features of another encoder"):
        list(answers(head, other, np.array([3, 40]), CPU))


def test_without_any_there_is_an_empty_table(folder: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_bytes(tables.frame_bytes(manifest_of([]), tables.MANIFEST_COLUMNS))
    table = predict_unlabelled([folder / "identity.zarr"], manifest, folder / "knn.st", CPU, tmp_path / "p.csv")
    assert len(table) == 0
    assert (tmp_path / "p.csv").read_text().splitlines() == ["image_id,path,predicted,probability,second,margin"]


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_numbers_and_several_labels_are_predicted_too(tmp_path: Path, task: str) -> None:
    """The brightness of a digit, and which of two halves are bright: linear in the pixels, so that ridge finds them."""
    x_ND = PIXELS["identity"]
    bright_N, left_N, top_N = x_ND.sum(1), x_ND.reshape(N, 8, 8)[:, :, :4].sum((1, 2)), x_ND[:, :32].sum(1)
    halves = [
        ";".join(name for name, has in (("l", left > 150), ("t", top > 150)) if has) or ";"
        for left, top in zip(left_N, top_N, strict=True)
    ]
    cells = [repr(float(value)) for value in bright_N] if task == "regression" else halves
    frame = manifest_of(WAITING)
    frame["label"] = [cell if waits == "" else "" for cell, waits in zip(cells, frame["excluded"], strict=True)]
    (tmp_path / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    metric = {"regression": "mae", "multilabel": "average_precision"}[task]
    settings = Ridge(kind="ridge", penalty=[1e-3]).model_dump() | {"task": task, "choose_by": metric}
    features = {"identity": pixel_store(tmp_path)}
    save_head(train_head(features, frame, settings, CPU), features, settings, tmp_path / "ridge", tmp_path / "ridge.st")
    table = predict(tmp_path, "ridge", ("identity",)).set_index("image_id")
    true = [cells[row] for row in table.index]
    if task == "regression":
        np.testing.assert_allclose(table["predicted"].astype(float), np.array(true, float), rtol=1e-3)
    else:
        assert np.mean([said == cell for said, cell in zip(table["predicted"], true, strict=True)]) > 0.8
    assert set(table["probability"]) == set(table["second"]) == set(table["margin"]) == {""}
