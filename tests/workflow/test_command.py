"""The command ``unchoke`` on the results of a run, and on new pictures."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import FLAWED, Clone

from unchoke import load_head, open_features


def unchoke(clone: Clone, *arguments: str, status: int = 0) -> tuple[str, str]:
    """What it wrote to stdout and stderr, after it ended with this status."""
    command = [sys.executable, "-m", "unchoke.cli.main", *arguments]
    done = subprocess.run(command, cwd=clone.folder, capture_output=True, text=True, env=clone.environment)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_a_finished_run_has_nothing_to_do_and_a_leaderboard(finished: tuple[Clone, str]) -> None:
    clone, _ = finished
    _, said = unchoke(clone, "run", "-c", "my.yaml", "--cores", "2", "-n")
    assert said.splitlines()[0].endswith("snakemake --configfile my.yaml --cores 2 --dry-run") and "steps" not in said
    table, _ = unchoke(clone, "leaderboard", "-c", "my.yaml")
    assert "logistic" in table and "neighbours" in table


def test_pictures_are_predicted_as_the_run_does(finished: tuple[Clone, str], tmp_path: Path) -> None:
    clone, _ = finished
    arguments = ["predict", "images", "--head", "tiny/logistic", "-c", "my.yaml"]
    _, said = unchoke(clone, *arguments, "--out", str(tmp_path / "out.csv"), status=3)
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text(), newline=""))}
    assert f"{len(rows) - 1} of {len(rows)} pictures" in said
    assert rows[f"images/{FLAWED[0]}"]["problem"] and not rows[f"images/{FLAWED[0]}"]["prediction"]
    with (clone.results / "manifest.csv").open(newline="") as file:
        ids = {f"images/{row['path']}": int(row["image_id"]) for row in csv.DictReader(file)}
    assert rows.keys() == ids.keys()
    head = load_head(clone.results / "checkpoints/tiny/logistic.safetensors")
    store = open_features(clone.results / "features/tiny.zarr")
    expected = head.probabilities(store.features("avg"))
    for path, row in rows.items():
        if not row["problem"]:
            found = [float(row[f"probability of {name}"]) for name in head.classes]
            np.testing.assert_allclose(found, expected[ids[path]], atol=1e-3)
            assert row["prediction"] == head.classes[int(np.argmax(found))]
    _, said = unchoke(clone, *arguments, "--out", str(tmp_path / "out.csv"), status=1)
    assert "nothing is overwritten" in said


@pytest.mark.parametrize(
    ("head", "said"), [("tiny/logistik", "did you mean 'tiny/logistic'?"), ("x", "<encoder>/<head>")]
)
def test_a_head_that_is_not_there_is_named(finished: tuple[Clone, str], head: str, said: str) -> None:
    _, error = unchoke(finished[0], "predict", "images", "--head", head, "-c", "my.yaml", status=1)
    assert said in error and "tiny/neighbours" in error and "Traceback" not in error
