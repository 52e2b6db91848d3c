"""Heads against scikit-learn, on the pixels of handwritten digits as features."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from safetensors import safe_open
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from unchoke import stores, versions
from unchoke.config.heads import Knn, Logistic
from unchoke.errors import UnchokeError
from unchoke.heads import TrainedHead, save_head, split_rows, train_head
from unchoke.stores import FeatureStore

CPU = torch.device("cpu")
LOGISTIC = Logistic(kind="logistic", c=[0.001, 0.1, 10.0], tolerance=1e-6).model_dump()
KNN = Knn(kind="knn", k=[1, 5, 20]).model_dump()
GOLDEN = {1: {"logistic": (10.0, 0.9688), "knn": (1, 0.9782)}}  # chosen setting and test accuracy, by version


@pytest.fixture(scope="module")
def manifest() -> pd.DataFrame:
    labels = [str(label) for label in load_digits().target[:1000]]
    split = np.random.default_rng(0).choice(["train", "val", "test"], 1000, p=[0.5, 0.2, 0.3])
    return pd.DataFrame({"image_id": range(1000), "label": labels, "split": split, "excluded": ""}, dtype=object)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Pixels of the first thousand digits, rows 5 and 17 unreadable."""
    path = tmp_path_factory.mktemp("store") / "pixels.zarr"
    valid = np.ones(1000, bool)
    valid[[5, 17]] = False
    for chunk in range(2):
        rows = slice(chunk * 500, chunk * 500 + 500)
        features = (load_digits().data[rows] * valid[rows, None]).astype(np.float16)
        stores.write_chunk(path, chunk, {"avg": features, "valid": valid[rows]}, {})
    stores.seal(path, 1000, {"avg": [500, 64], "valid": [500]}, {"settings": {"model": "pixels"}}, {"invalid": []})
    return stores.open_complete(path)


def arrays(store: FeatureStore, manifest: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Float64 features and labels of each split, taken without the library."""
    keep = np.setdiff1d(np.arange(1000), [5, 17])
    table = manifest.loc[keep]
    data = load_digits().data[keep]
    return {
        split: (data[table["split"] == split], table.loc[table["split"] == split, "label"].to_numpy().astype(int))
        for split in ("train", "val", "test")
    }


@pytest.fixture(scope="module")
def logistic(store: FeatureStore, manifest: pd.DataFrame) -> TrainedHead:
    return train_head(store, manifest, LOGISTIC, CPU)


def test_logistic_is_scikit_learns(logistic: TrainedHead, store: FeatureStore, manifest: pd.DataFrame) -> None:
    split = arrays(store, manifest)
    scaler = StandardScaler().fit(split["train"][0])
    x = {name: scaler.transform(data) for name, (data, _) in split.items()}
    fits = [LogisticRegression(C=c, max_iter=5000, tol=1e-8).fit(x["train"], split["train"][1]) for c in LOGISTIC["c"]]
    scores = [fit.score(x["val"], split["val"][1]) for fit in fits]
    best = fits[int(np.argmax(scores))]
    assert logistic.fitted.history["val_accuracy"] == pytest.approx(scores, abs=0.006)
    assert logistic.fitted.chosen["c"] == best.C
    assert logistic.metrics["test"]["accuracy"] == pytest.approx(best.score(x["test"], split["test"][1]), abs=0.005)
    ours = torch.softmax(torch.from_numpy(logistic.logits_NC["test"]), 1).numpy()
    np.testing.assert_allclose(ours, best.predict_proba(x["test"]), atol=2e-3)


def test_balanced_accuracy_is_scikit_learns(logistic: TrainedHead) -> None:
    label = logistic.rows["test"].y_N.numpy()
    expected = balanced_accuracy_score(label, logistic.logits_NC["test"].argmax(1))
    assert logistic.metrics["test"]["balanced_accuracy"] == pytest.approx(expected)


def test_knn_is_scikit_learns(store: FeatureStore, manifest: pd.DataFrame) -> None:
    split = arrays(store, manifest)
    head = train_head(store, manifest, KNN, CPU)
    vote = KNeighborsClassifier(
        int(head.fitted.chosen["k"]), metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07)
    ).fit(*split["train"])
    expected = vote.predict_proba(split["test"][0])
    np.testing.assert_allclose(np.exp(head.logits_NC["test"]), np.maximum(expected, 1e-12), atol=1e-3)
    assert head.metrics["test"]["accuracy"] == pytest.approx(vote.score(*split["test"]), abs=0.004)


@pytest.mark.parametrize("settings", [LOGISTIC, KNN], ids=["logistic", "knn"])
def test_the_test_split_has_no_say(store: FeatureStore, manifest: pd.DataFrame, settings: dict) -> None:
    shuffled = manifest.copy()
    of_test = (manifest["split"] == "test").to_numpy()
    shuffled.loc[of_test, "label"] = manifest.loc[of_test, "label"].to_numpy()[::-1]
    one, two = train_head(store, manifest, settings, CPU), train_head(store, shuffled, settings, CPU)
    assert one.fitted.chosen == two.fitted.chosen
    assert all(torch.equal(one.fitted.tensors[name], two.fitted.tensors[name]) for name in one.fitted.tensors)
    assert one.metrics["test"] != two.metrics["test"]


def test_invalid_and_excluded_rows_take_no_part(store: FeatureStore, manifest: pd.DataFrame) -> None:
    marked = manifest.copy()
    marked.loc[40, "excluded"] = "vanished"
    _, rows = split_rows(store, marked, "avg", CPU)
    used = sorted(int(i) for part in rows.values() for i in part.image_id_N)
    assert used == sorted(set(range(1000)) - {5, 17, 40})


def test_what_is_saved_is_what_was_found(logistic: TrainedHead, store: FeatureStore, tmp_path: Path) -> None:
    save_head(logistic, store, LOGISTIC, tmp_path / "g", tmp_path / "h.safetensors")
    group = zarr.open_group(tmp_path / "g", mode="r")
    np.testing.assert_array_equal(group["test_logits"][:], logistic.logits_NC["test"])
    np.testing.assert_array_equal(group["test_image_id"][:], logistic.rows["test"].image_id_N)
    np.testing.assert_array_equal(group["history/c"][:], LOGISTIC["c"])
    assert group.attrs["unchoke"]["chosen"] == logistic.fitted.chosen
    with safe_open(tmp_path / "h.safetensors", "pt") as file:
        weight, bias, mean, scale = (file.get_tensor(name) for name in ("weight", "bias", "mean", "scale"))
    logits = (logistic.rows["test"].x_ND - mean) / scale @ weight.T + bias
    np.testing.assert_allclose(logits, logistic.logits_NC["test"], rtol=1e-4, atol=1e-4)


def test_saving_twice_gives_the_same_bytes(store: FeatureStore, manifest: pd.DataFrame, tmp_path: Path) -> None:
    def saved() -> dict[Path, bytes]:
        save_head(
            train_head(store, manifest, LOGISTIC, CPU), store, LOGISTIC, tmp_path / "g", tmp_path / "h.safetensors"
        )
        return {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    assert saved() == saved()


def test_more_neighbours_than_images_is_an_error(store: FeatureStore, manifest: pd.DataFrame) -> None:
    with pytest.raises(UnchokeError, match="fewer training images than neighbours"):
        train_head(store, manifest, {**KNN, "k": [900]}, CPU)


def test_features_of_other_images_are_refused(store: FeatureStore, manifest: pd.DataFrame) -> None:
    with pytest.raises(UnchokeError, match="1000 rows of features, 999 images"):
        train_head(store, manifest.head(999), LOGISTIC, CPU)


@pytest.mark.parametrize("settings", [LOGISTIC, KNN], ids=["logistic", "knn"])
def test_the_stage_keeps_its_output_while_its_version_stays(
    store: FeatureStore, manifest: pd.DataFrame, settings: dict
) -> None:
    head = train_head(store, manifest, settings, CPU)
    chosen, accuracy = GOLDEN[versions.HEADS][settings["kind"]]
    assert list(head.fitted.chosen.values()) == [chosen]
    assert head.metrics["test"]["accuracy"] == pytest.approx(accuracy, abs=0.002)
