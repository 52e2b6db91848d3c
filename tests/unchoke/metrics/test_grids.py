"""What counts as the edge of a grid."""

from typing import Any

import pytest

from unchoke.metrics.grids import choice_text, grid_edges


@pytest.mark.parametrize(
    ("chosen", "tried", "edge"),
    [
        ({"penalty": 0.01}, [100.0, 1.0, 0.01], True),
        ({"penalty": 100.0}, [100.0, 1.0, 0.01], True),
        ({"penalty": 1.0}, [100.0, 1.0, 0.01], False),
        ({"c": 1.0}, [0.1, 1.0], False),  # one of two always lies at an end
        ({"k": 1}, [1, 3, 5], False),  # there is no smaller one
        ({"k": 5}, [1, 3, 5, 1, 3, 5], True),
        ({"weight_decay": 0.0}, [0.0, 0.1, 1.0], False),
        ({"distance": "cosine"}, ["cosine", "euclidean"], False),
    ],
)
def test_an_edge_is_an_end_of_three_values_beyond_which_others_exist(
    chosen: dict[str, Any], tried: list[Any], edge: bool
) -> None:
    (name,) = chosen
    edges = grid_edges({"shots": 5, **chosen}, {name: tried, "val_score": [0.5] * len(tried)})
    assert edges == ([name] if edge else [])
    assert choice_text(chosen, edges).endswith(" (edge of grid)") == edge
