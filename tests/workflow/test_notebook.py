"""The notebook and the examples of docs/python.md and docs/notebook.md run on a finished run.

The notebook is stored without its outputs.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from conftest import REPOSITORY, Clone
from nbclient import NotebookClient
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import unchoke

pytestmark = pytest.mark.xdist_group("run")

NOTEBOOK = REPOSITORY / "notebooks" / "explore_run.ipynb"


def code_cells(path: Path) -> list[dict]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def outputs(notebook: nbformat.NotebookNode) -> dict[str, list[dict]]:
    """What each code cell has shown, by the cell's name."""
    return {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}


def text_of(shown: list[dict]) -> str:
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in shown)


def test_no_output_is_stored() -> None:
    assert [cell["id"] for cell in code_cells(NOTEBOOK) if cell["outputs"] or cell["execution_count"]] == []


def test_every_cell_runs_on_a_finished_run(rerun: Clone) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    [settings] = [cell for cell in notebook.cells if cell.id == "run"]
    settings.source = settings.source.replace("results/digits", "results/few").replace("resources/digits", "images")
    folder = rerun.folder / "notebooks"
    folder.mkdir()
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    shown = outputs(notebook)
    pictures = [cell for cell, parts in shown.items() if any("image/png" in part.get("data", {}) for part in parts)]
    assert {"pca", "alike", "confusion", "sure"} <= set(pictures)
    assert not [part for parts in shown.values() for part in parts if part.get("name") == "stderr"]
    right, board = text_of(shown["confusion"]).split(";")
    assert right.split()[0] == board.split("leaderboard ")[1].split()[0]
    assert "no such file or directory" in text_of(shown["new"])


def test_the_example_of_the_page_runs(rerun: Clone) -> None:
    [code] = re.findall(
        r"```python\n(import unchoke\n.+?)```", (REPOSITORY / "docs" / "python.md").read_text(), re.DOTALL
    )
    places = {
        "results/digits": "results/few",
        "/lite0": "/tiny",
        "resources/digits/3/0003.png": "images/0/0010.png",
        "resources/digits/3/cut-short.png": "images/0/broken.png",
    }
    for of_demo, of_clone in places.items():
        assert of_demo in code
        code = code.replace(of_demo, of_clone)
    done = subprocess.run([sys.executable, "-c", code], cwd=rerun.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    header, first, second = done.stdout.splitlines()
    assert header.split() == ["image", "label", "probability", "reason"]
    assert first.split()[2] in ("0", "1")
    assert second.split()[2:4] == ["NaN", "NaN"] and "broken image" in second


def test_cells_for_a_notebook_go_on_with_the_split_of_the_run(rerun: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (REPOSITORY / "docs" / "notebook.md").read_text()
    cells = re.findall(r"```python\n((?:store =|train, test =).+?)```", page, re.DOTALL)
    assert len(cells) == 2
    names = {"unchoke": unchoke, "pd": pd, "make_pipeline": make_pipeline, "StandardScaler": StandardScaler, "SVC": SVC}
    monkeypatch.chdir(rerun.folder)
    for cell in cells:
        exec(cell.replace("results/birds", "results/few").replace("/lite0.", "/tiny."), names)
    test, manifest = names["test"], names["manifest"]
    assert manifest["split"][test].unique() == ["test"] and not (names["train"] & test).any()
    # Ones and zeros are easy; a test set of other rows than the labels' would give half.
    assert names["scaled"].score(names["features"][test], manifest["label"][test]) > 0.8
