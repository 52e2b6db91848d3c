"""Distances to train beside plain NumPy, and the two-sample test on splits that are alike and others that are not."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest

from unchoke.config import heads
from unchoke.inspection.said import shift_sentences, shifted_splits
from unchoke.inspection.samples import unit_numbers
from unchoke.inspection.shift import distances, find_shift, two_sample

CPU = torch.device("cpu")
HEAD = heads.Ridge(kind="ridge").model_dump()
N = 400
SPLIT = np.array(["train"] * 200 + ["val"] * 100 + ["test"] * 100, object)


def images_of(group: list[str] | str = "") -> pd.DataFrame:
    frame = pd.DataFrame({"image_id": range(N), "split": SPLIT, "group": group})
    return frame.assign(path=[f"{row}.png" for row in range(N)])


def drawn(moved: float, seed: int = 0) -> np.ndarray:
    """Features of which those of test are moved along one direction."""
    x_ND = np.random.default_rng(seed).normal(size=(N, 6)) + 2
    x_ND[SPLIT == "test", 0] += moved
    return x_ND.astype(np.float16)


def test_the_distance_is_that_of_the_kth_nearest_image_of_another_group() -> None:
    x_ND, groups = drawn(0), [f"g{row // 3}" if row < 30 else "" for row in range(N)]
    images = images_of(groups)
    unit_ND = x_ND.astype(np.float64) / np.linalg.norm(x_ND.astype(np.float64), axis=1, keepdims=True)
    asked, train = np.array([4, 20, 150, 399]), np.arange(200)
    found, near = distances(x_ND, asked, train, unit_numbers(images, N), 3, CPU)
    for row, distance, nearest in zip(asked, found, near, strict=True):
        others = [other for other in train if other != row and (not groups[row] or groups[other] != groups[row])]
        ordered = sorted(others, key=lambda other: -(unit_ND[row] @ unit_ND[other]))
        assert nearest == ordered[0]
        assert distance == pytest.approx(1 - unit_ND[row] @ unit_ND[ordered[2]], abs=1e-6)


def test_train_with_fewer_images_than_k_has_a_distance_all_the_same() -> None:
    images = images_of()
    found, near = distances(drawn(0), np.array([0, 399]), np.array([0]), unit_numbers(images, N), 3, CPU)
    assert found[0] == np.inf and near.tolist() == [-1, 0]
    assert 0 <= found[1] < 2


def test_a_split_that_is_moved_is_told_apart_and_one_that_is_not_is_not() -> None:
    table, said = find_shift(drawn(3), images_of(), {"k": 3, "seed": 0}, HEAD, CPU)
    assert table["image_id"].tolist() == list(range(200, N)) and table["split"].tolist() == SPLIT[200:].tolist()
    val, test = said["splits"]["val"], said["splits"]["test"]
    assert test["test"]["p_value"] < 1e-6 and test["test"]["accuracy"] > 0.8 and test["far"] > val["far"]
    assert val["test"]["p_value"] > 0.005
    (sentence,) = shifted_splits(said)
    assert sentence.startswith("Test does not look like train: a classifier tells it from train in ")
    assert "val is not told apart from train" in " ".join(shift_sentences(said))
    assert shifted_splits(None) == [] and list(shift_sentences(None)) == []
    for shares in said["shares"].values():
        assert sum(shares) == pytest.approx(1)


def test_the_p_value_is_that_of_a_fair_coin_and_rarely_small_where_splits_are_alike() -> None:
    unit_n, train, test = unit_numbers(images_of(), N), np.arange(200), np.arange(300, N)
    values = []
    for seed in range(60):
        told = two_sample(drawn(0, seed), train, test, unit_n, seed, HEAD, CPU)
        assert told is not None
        right = round(told.accuracy * told.images)
        assert told.p_value == pytest.approx(binomtest(right, told.images, alternative="greater").pvalue)
        values.append(told.p_value)
    assert np.mean(np.array(values) < 0.05) <= 0.15  # 3 of 60 are expected; 10 or more have a chance of 0.001


def test_images_of_one_group_count_once() -> None:
    """30 groups of test are too few, however many images they have."""
    groups = [""] * 300 + [f"g{row % 30}" for row in range(100)]
    unit_n = unit_numbers(images_of(groups), N)
    assert two_sample(drawn(9), np.arange(200), np.arange(300, N), unit_n, 0, HEAD, CPU) is None
    _, said = find_shift(drawn(9), images_of(groups), {"k": 3, "seed": 0}, HEAD, CPU)
    assert said["splits"]["test"]["test"] is None and "too few" in " ".join(shift_sentences(said))


def test_images_without_a_label_are_compared_as_a_split_of_their_own() -> None:
    images = images_of().assign(split=np.where(SPLIT == "test", "unlabelled", SPLIT))
    table, said = find_shift(drawn(3), images, {"k": 3, "seed": 0}, HEAD, CPU)
    assert set(table.loc[table["image_id"] >= 300, "split"]) == {"unlabelled"}
    (sentence,) = shifted_splits(said)
    assert sentence.startswith("The part without a label does not look like train: a classifier tells it from train")
