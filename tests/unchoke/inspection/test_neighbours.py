"""Nearest rows in blocks beside plain NumPy."""

import numpy as np
import pytest
import torch

from unchoke.inspection import neighbours
from unchoke.inspection.neighbours import nearest

CPU = torch.device("cpu")


@pytest.mark.parametrize("blocks", [(3, 5), (100, 4), (1, 100)])
def test_blocks_find_what_one_product_finds(monkeypatch: pytest.MonkeyPatch, blocks: tuple[int, int]) -> None:
    monkeypatch.setattr(neighbours, "QUERIES", blocks[0])
    monkeypatch.setattr(neighbours, "KNOWN", blocks[1])
    rng = np.random.default_rng(0)
    query_QD, known_ND = rng.normal(size=(7, 9)).astype(np.float16), rng.normal(size=(23, 9)).astype(np.float16)
    label_Q, label_N = rng.integers(0, 2, 7), rng.integers(0, 2, 23)
    cosine_Qk, place_Qk = nearest(
        query_QD,
        known_ND,
        4,
        CPU,
        lambda asked, known: torch.from_numpy(label_Q[asked, None] == label_N[None, known]),
    )
    x_QD, x_ND = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in map(np.float64, (query_QD, known_ND)))
    cosine_QN = np.where(label_Q[:, None] == label_N, x_QD @ x_ND.T, -2)
    expected_Qk = np.argsort(-cosine_QN, axis=1)[:, :4]
    assert place_Qk.tolist() == expected_Qk.tolist()
    assert cosine_Qk == pytest.approx(np.take_along_axis(cosine_QN, expected_Qk, 1), abs=1e-6)


def test_where_fewer_are_allowed_the_rest_is_marked() -> None:
    x_ND = np.eye(3, dtype=np.float16)
    cosine_Qk, place_Qk = nearest(x_ND[:1], x_ND, 3, CPU, lambda _, known: torch.tensor([[False, True, False]]))
    assert place_Qk.tolist() == [[1, -1, -1]]
    assert cosine_Qk.tolist() == [[0, -2, -2]]
