"""The picture of the images to label: their ranks, values and what their labels may be."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from PIL import Image

import draw_to_label as command
from unchoke.report.cleaning.to_label import draw_to_label
from unchoke.report.style import png_bytes
from unchoke.store import tables

ROW: dict[str, Any] = {"image_id": 3, "split": "unlabelled", "label": "", "nearest": 1, "nearest_label": "ant"}


def listing(count: int, **more: Any) -> pd.DataFrame:
    rows = [{**ROW, "rank": rank, "path": f"{rank}.png", "value": f"{1 / rank:.6g}"} for rank in range(1, count + 1)]
    return pd.DataFrame(rows).assign(predicted="", second="").assign(**more)


def texts(table: pd.DataFrame, how: str) -> str:
    figure = draw_to_label(table, how, "As it was asked.", lambda paths: [np.zeros((4, 4, 3), np.uint8) for _ in paths])
    png_bytes(figure)
    return "\n".join(str(text.get_text()) for text in figure.findobj(Text))


def test_the_first_of_the_list_are_drawn_with_rank_distance_and_the_nearest_label() -> None:
    said = texts(listing(30), "diverse")
    assert "Images to label: first 24 of 30" in said and "As it was asked." in said
    assert "2, distance 0.500\nnearest: ant\n2.png" in said and "25.png" not in said


def test_a_head_s_two_classes_and_its_margin_are_told() -> None:
    said = texts(listing(3, predicted="bee", second="cat", nearest_label=""), "uncertain")
    assert "all 3" in said and "3, margin 0.333\nbee or cat?\n3.png" in said


@pytest.mark.parametrize("count", [1, 2])
def test_the_command_draws_what_is_there_and_says_what_is_not(tmp_path: Path, count: int) -> None:
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "1.png")
    table = listing(count, value="")
    (tmp_path / "l.csv").write_bytes(tables.frame_bytes(table, tables.TO_LABEL_COLUMNS))
    settings = {"how": "diverse", "n": count, "encoder": "b0", "splits": ["unlabelled"]}
    facts = {"settings": settings, "listed": count, "candidates": 5, "covered": 0, "radius": 0.25}
    (tmp_path / "l.json").write_text(json.dumps(facts))
    flags = {"listing": tmp_path / "l.csv", "summary": tmp_path / "l.json", "kind": "folder", "root": tmp_path}
    flags |= {"max-pixels": "1000", "picture": tmp_path / "p.png"}
    command.main([text for name, value in flags.items() for text in (f"--{name}", str(value))])
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size[0] > 500
