"""The list of images to label: which may be listed, in which order, and what is wrong with what is asked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_features import clouds, make_store

import list_to_label as command
from unchoke.config.heads import Ridge
from unchoke.errors import UnchokeError
from unchoke.heads.train import save_head, train_head
from unchoke.labelling import choose
from unchoke.labelling.choose import list_to_label
from unchoke.labelling.said import listed
from unchoke.names import NO_LABEL
from unchoke.store import tables

N, CPU = 120, torch.device("cpu")
X_ND, Y_N = clouds([40, 40, 40], 8, 0, 0.7)
SPLIT = np.array(["train"] * 30 + ["val"] * 15 + ["test"] * 15 + [""] * 60)
WAITING, BROKEN, LEFT_OUT = np.arange(60, N), 61, 2
SETTINGS: dict[str, Any] = {"encoder": "b0", "seed": 0, "splits": ["unlabelled"], "pool": "avg", "view": "identity"}


def write(folder: Path, x_ND: np.ndarray = X_ND, split_N: np.ndarray = SPLIT) -> Path:
    """A store of three clouds, half of them without a label, a broken image among these, and one that is left out."""
    folder.mkdir(exist_ok=True)
    valid = np.arange(N) != BROKEN
    make_store(folder / "b0.zarr", x_ND * valid[:, None], valid)
    labels = np.where(split_N == "", "", np.array(["a", "b", "c"], object)[Y_N])
    facts = {"group": "", "size_bytes": 1, "mtime_ns": 1, "excluded": np.where(split_N == "", NO_LABEL, "")}
    frame = pd.DataFrame({"image_id": range(N), "label": labels, "split": split_N, **facts})
    frame["path"] = [f"{row}.png" for row in range(N)]
    (folder / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    left_out = ["duplicate" if row == LEFT_OUT else "" for row in range(N)]
    chosen = pd.DataFrame({"image_id": range(N), "left_out": left_out, "cluster": -1})
    (folder / "selection.csv").write_bytes(tables.frame_bytes(chosen, tables.SELECTION_COLUMNS))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path)


def files(folder: Path) -> list[Path]:
    return [folder / name for name in ("manifest.csv", "selection.csv")]


def choose_in(folder: Path, checkpoint: Path | None = None, **settings: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    given = {**SETTINGS, **settings}
    results = folder / "to_label.csv", folder / "to_label.json"
    said = list_to_label([folder / "b0.zarr"], *files(folder), checkpoint, given, CPU, *results)
    assert json.loads(results[1].read_text()) == json.loads(json.dumps(said))
    return tables.read_table(results[0], tables.TO_LABEL_COLUMNS), said


def unit(rows: Any) -> np.ndarray:
    x_ND = X_ND[rows].astype(np.float64)
    return np.asarray(x_ND / np.linalg.norm(x_ND, axis=1, keepdims=True))


COVERED = np.setdiff1d(np.arange(30), [LEFT_OUT])
MAY = np.setdiff1d(WAITING, [BROKEN])


def test_diverse_begins_with_the_image_farthest_from_train(folder: Path) -> None:
    table, said = choose_in(folder, how="diverse", n=10)
    gap_N, found = (1 - unit(MAY) @ unit(COVERED).T).min(1), list[int]()
    near_N = COVERED[(unit(MAY) @ unit(COVERED).T).argmax(1)]
    for _ in range(10):
        found.append(int(gap_N.argmax()))
        gap_N = np.minimum(gap_N, 1 - unit(MAY) @ unit(MAY)[found[-1]])
    assert table["image_id"].tolist() == MAY[found].tolist()
    assert table["rank"].tolist() == list(range(1, 11)) and set(table["split"]) == {"unlabelled"}
    assert table["nearest"].tolist() == near_N[found].tolist()
    assert table["nearest_label"].tolist() == [["a", "b", "c"][Y_N[row]] for row in near_N[found]]
    assert said["radius"] == pytest.approx(gap_N.max(), abs=1e-5)
    assert (said["candidates"], said["covered"], said["listed"]) == (59, 29, 10)
    assert "10 of 59 images (unlabelled) to label" in listed(said) and "beside 29 images of train" in listed(said)


def test_typical_images_lie_densely_and_are_no_neighbours(folder: Path) -> None:
    table, _ = choose_in(folder, how="typical", n=6, k=5)
    assert set(table["image_id"]) <= set(MAY) and table["image_id"].is_unique
    known = np.concatenate([MAY, COVERED])
    row = table.iloc[0]
    distance_N = np.linalg.norm(unit(known) - unit([row["image_id"]]), axis=1)
    assert float(row["value"]) == pytest.approx(np.sort(distance_N)[1:6].mean(), rel=1e-3)
    everything, said = choose_in(folder, how="typical", n=6, k=5, splits=["train", "unlabelled"])
    known = np.sort(known)
    cosine_NN = unit(known) @ unit(known).T - 2 * np.eye(len(known))
    near = {image: set(known[np.argsort(-row)[:5]]) for image, row in zip(known, cosine_NN, strict=True)}
    ids = everything["image_id"].tolist()
    assert not [1 for one in ids for other in ids if other in near[one]] and said["covered"] == 0


def test_uncertain_has_the_smallest_margins_first_and_val_where_it_is_asked_for(folder: Path) -> None:
    frame = tables.read_table(folder / "manifest.csv", tables.MANIFEST_COLUMNS)
    features = choose.open_views([folder / "b0.zarr"])
    settings = Ridge(kind="ridge", choose_by="accuracy").model_dump()
    head = train_head(features, frame, settings, CPU)
    save_head(head, features, settings, folder / "ridge", folder / "ridge.st")
    table, _ = choose_in(folder, folder / "ridge.st", how="uncertain", n=12, head="ridge", splits=["val", "unlabelled"])
    (tensors,) = [{name: tensor.double().numpy() for name, tensor in one.items()} for one in head.fitted.replicates]
    rows = np.concatenate([np.arange(30, 45), MAY])
    scores_NC = (X_ND[rows] - tensors["mean"]) / tensors["scale"] @ tensors["weight"].T + tensors["bias"]
    logits_NC = np.log(np.maximum(scores_NC, 1e-3)) + 1e-3 * scores_NC  # as documented in kinds/ridge.py
    p_NC = np.exp(logits_NC / head.temperatures[0])
    p_N2 = -np.sort(-p_NC / p_NC.sum(1, keepdims=True), 1)[:, :2]
    expected = rows[np.argsort(p_N2[:, 0] - p_N2[:, 1])][:12]
    assert table["image_id"].tolist() == expected.tolist()
    assert set(table["split"]) == {"val", "unlabelled"}
    of_val = table[table["split"] == "val"]
    assert of_val["label"].tolist() == [["a", "b", "c"][Y_N[row]] for row in of_val["image_id"]]
    assert (table["predicted"] != table["second"]).all() and set(table["predicted"]) <= {"a", "b", "c"}
    assert np.diff(table["value"].astype(float)).min() >= 0


@pytest.mark.parametrize("how", [{"how": "diverse", "n": 8}, {"how": "typical", "n": 8, "k": 4}])
def test_blocks_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]) -> None:
    before, _ = choose_in(folder, **how)
    monkeypatch.setattr(choose, "BLOCK", 11)
    pd.testing.assert_frame_equal(choose_in(folder, **how)[0], before)


def test_another_seed_begins_elsewhere_where_nothing_is_covered(tmp_path: Path) -> None:
    folder = write(tmp_path, split_N=np.full(N, ""))
    tables_of = [choose_in(folder, how="diverse", n=5, seed=seed)[0] for seed in (0, 0, 1)]
    pd.testing.assert_frame_equal(tables_of[0], tables_of[1])
    assert tables_of[0]["image_id"][0] != tables_of[2]["image_id"][0]
    assert tables_of[0]["value"][0] == "" and set(tables_of[0]["nearest"]) == {-1}


def test_copies_of_what_is_listed_or_of_train_are_not_listed(tmp_path: Path) -> None:
    x_ND = X_ND.copy()
    x_ND[70:] = x_ND[5]
    folder = write(tmp_path, x_ND)
    table, said = choose_in(folder, how="diverse", n=40)
    assert set(table["image_id"]) == set(range(60, 70)) - {BROKEN}
    assert "40 were asked for" in listed(said)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"how": "diverse", "n": 60}, ["59 of unlabelled", "at least 60", "lower subset.diverse to 59"]),
        ({"how": "typical", "n": 46, "k": 3, "splits": ["val"]}, ["15 of val", "lower subset.typical to 15"]),
    ],
)
def test_more_than_there_are_is_refused(folder: Path, settings: dict[str, Any], found: list[str]) -> None:
    with pytest.raises(UnchokeError) as caught:
        choose_in(folder, **settings)
    assert all(text in str(caught.value) for text in found)
    assert not (folder / "to_label.csv").exists()


def test_where_all_have_a_label_the_way_out_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, split_N=np.where(SPLIT == "", "train", SPLIT))
    with pytest.raises(UnchokeError, match=r"(?s)none is of unlabelled.*88 train.*set subset to null"):
        choose_in(folder, how="diverse", n=5)


@pytest.mark.parametrize("how", [{"how": "diverse", "n": 5}, {"how": "typical", "n": 5, "k": 3}])
@pytest.mark.parametrize("covered", [True, False])
def test_equal_and_not_finite_features_are_refused(tmp_path: Path, how: dict[str, Any], covered: bool) -> None:
    split_N = SPLIT if covered else np.full(N, "")
    equal_ND, broken_ND = np.tile(X_ND[:1], (N, 1)), X_ND.copy()
    broken_ND[77, 2] = np.nan
    with pytest.raises(UnchokeError, match="have the same features"):
        choose_in(write(tmp_path / "equal", equal_ND, split_N), **how)
    with pytest.raises(UnchokeError, match=r"(?s)not finite.*image_id 77"):
        choose_in(write(tmp_path / "broken", broken_ND, split_N), **how)


def test_the_command_says_what_it_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {"stores": folder / "b0.zarr", "manifest": folder / "manifest.csv", "selection": folder / "selection.csv"}
    flags |= {"settings": json.dumps({**SETTINGS, "how": "diverse", "n": 7}), "device": "cpu", "vram-mb": "4000"}
    flags |= {"threads": "1", "listing": folder / "l.csv", "summary": folder / "l.json"}
    command.main([text for name, value in flags.items() for text in (f"--{name}", str(value))])
    assert "7 of 59 images (unlabelled) to label: each the farthest" in capsys.readouterr().out
    assert len(tables.read_table(folder / "l.csv", tables.TO_LABEL_COLUMNS)) == 7
