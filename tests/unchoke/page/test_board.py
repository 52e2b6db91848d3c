"""The leaderboard of the page."""

import pytest

from unchoke.page.board import board_of

NONE = [
    "test_low",
    "test_high",
    "difference",
    "difference_low",
    "difference_high",
    "gain",
    "gain_low",
    "gain_high",
    "start",
    "splits",
    "splits_mean",
    "splits_sd",
    "splits_low",
    "splits_high",
    "test_balanced_accuracy",
    "test_auroc",
    "test_ece",
]


def row_of(head, **facts):
    row = {"encoder": "b0", "head": head, "pool": "avg", "weights": "trained", "task": "classification"}
    row |= {"metric": "accuracy", "chosen": '{"k": 3}', "edges": "[]", "val": 0.5, "test": 0.9, "is_best": 0}
    return row | dict.fromkeys(NONE) | {"seconds": 2.0, "told_apart": 0} | facts


def cells_of(board, row=0):
    return {column.name: cell for column, cell in zip(board.columns, board.rows[row], strict=True)}


def test_columns_are_there_only_where_a_head_has_something_in_them():
    alone = board_of([row_of("knn", is_best=1)], None)
    assert [column.name for column in alone.columns] == ["head", "chosen on val", "val", "test", "time"]
    rows = [
        row_of("knn", is_best=1),
        row_of("net", test_low=0.8, gain=0.25, gain_low=0.125, gain_high=0.5, start="probe"),
    ]
    names = [column.name for column in board_of(rows, None).columns]
    assert names[4:] == ["95 % interval", "against the best", "gain over probe", "time"]
    assert cells_of(board_of(rows, None), 1)["gain over probe"].note == "0.125 to 0.500 over probe"
    assert board_of([], None).columns == []


def test_an_interval_lies_on_the_axis_of_all():
    rows = [row_of("knn", test_low=0.8, test_high=1.0), row_of("ridge", test=0.7)]
    board = board_of(rows, None)  # the axis reaches from 0.7 to 1.0, with 4 % of that at either end
    assert cells_of(board)["95 % interval"].bar == pytest.approx(
        (100 * 0.112 / 0.324, 100 * 0.212 / 0.324, 96.3), abs=0.01
    )
    assert cells_of(board, 1)["95 % interval"].bar is None


def test_a_choice_at_the_edge_and_a_difference_told_apart_are_marked():
    row = row_of("ridge", edges='["k"]', difference=-0.25, difference_low=-0.5, difference_high=-0.125, told_apart=1)
    cells = cells_of(board_of([row_of("knn", is_best=1), row], None), 1)
    assert (cells["chosen on val"].text, cells["chosen on val"].badge) == ("k 3", "edge of grid")
    assert cells["against the best"].text == "\u22120.2500" and cells["against the best"].sort == -0.25
    assert cells["against the best"].badge == "told apart"


def test_chance_is_a_row_of_its_own():
    board = board_of([row_of("knn")], ("ant", 0.125, 0.25))
    assert [cell.text for cell in board.floor] == ["(majority)", "\u2013", "0.1250", "0.2500", "\u2013"]
