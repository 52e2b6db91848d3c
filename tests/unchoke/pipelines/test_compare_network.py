"""Ways to train a network side by side, in processes of their own."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from network_samples import manifest_of, network_work

from unchoke.pipelines import network_entries
from unchoke.pipelines.compare_network import compare_network
from unchoke.pipelines.network_work import NetworkWork
from unchoke.pipelines.table import TRAINING
from unchoke.report.pipelines import draw_pipelines, table_text


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> NetworkWork:
    found = network_work(tmp_path_factory.mktemp("network"), blocks=1, batch_size=16, learning_rates=[0.01])
    return replace(found, rows=pd.DataFrame(), labels=pd.DataFrame())


def test_every_way_trains_the_same_images_and_leaves_nothing_behind(
    work: NetworkWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_entries, "why_eager", lambda device: "there is no C++ compiler")  # compiling takes 12 s
    monkeypatch.setattr(network_entries, "FACTORS", (0.5, 2))
    rows = compare_network(work, manifest_of(work), 1000, 1, 600, 4000)
    names = {row.pipeline.removeprefix("n: "): row for row in rows}
    refused = ["precision float16", "precision bfloat16", "compiled"]
    assert list(names) == [
        *("default", "micro-batches of 8", *refused),
        *("frozen part in each step", "PyTorch DataLoader"),
    ]
    assert [name for name, row in names.items() if row.note] == refused
    there = [row for row in rows if row.measured]
    assert len(there) == 4 and {(row.images, row.unreadable) for row in there} == {(len(work_images(work)), 1)}
    assert not [row for row in there if row.differs] and {row.task for row in rows} == {TRAINING}
    assert all(row.cold_s > 0 and row.warm_s > 0 and row.peak_mb > 50 and row.least_times > 0 for row in there)
    assert names["default"].feature_difference == 0 and 0.5 <= names["default"].accuracy <= 1
    assert names["micro-batches of 8"].feature_difference < 1e-4 and names["micro-batches of 8"].network == ""
    frozen, loader = names["frozen part in each step"], names["PyTorch DataLoader"]
    assert frozen.feature_difference == loader.feature_difference > 0  # the same logits
    assert json.loads(frozen.network)["cache"] == "none" and loader.network == ""
    assert not work.scratch.exists()
    assert "n: frozen part in each step" in table_text(rows)
    assert draw_pipelines([replace(rows[0], task="extraction"), *rows], "networks:\n")


def work_images(work: NetworkWork) -> pd.DataFrame:
    manifest = manifest_of(work)
    return manifest[manifest["split"] != "test"]


@pytest.mark.parametrize(("labels", "told"), [("one", "two classes"), ("few", "too few images")])
def test_a_network_that_cannot_be_trained_says_why_in_its_row(work: NetworkWork, labels: str, told: str) -> None:
    manifest = manifest_of(work)
    manifest = manifest.assign(label="a") if labels == "one" else manifest.head(20)
    [row] = compare_network(work, manifest, 1000, 1, 600, 4000)
    assert told in row.note and not row.measured and row.pipeline == "n: default"
    assert not work.scratch.exists()
