"""Networks in real runs: trained, chosen, ranked and drawn as heads are; more of them train what is missing alone."""

import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
from conftest import Clone, assert_same_bytes, jobs
from PIL import Image

RATES = [1e-3, 1e-2]
NETWORKS = {
    "last": {"encoder": "tiny", "blocks": 2, "epochs": 2, "batch_size": 8, "learning_rates": RATES[:1]},
    "cnn": {"model": "small_cnn", "image_size": 16, "epochs": 2, "batch_size": 8, "learning_rates": RATES[:1]},
}


def test_networks_are_trained_and_ranked_beside_heads(rerun: Clone) -> None:
    rerun.configure(networks=NETWORKS)
    said = rerun.snakemake("--cores", "2")
    assert (jobs(said, "plan_network"), jobs(said, "train_member"), jobs(said, "choose_network")) == (2, 2, 2)
    assert jobs(said, "train_head") == 0
    assert "gain of tiny last over logistic, with which it began:" in rerun.logs("build_database")
    with closing(sqlite3.connect(rerun.results / "experiments.db")) as connection:
        rows = connection.execute("SELECT encoder, head, kind, pool, weights FROM leaderboard WHERE kind = 'network'")
        assert sorted(rows) == [
            ("pixels", "cnn", "network", "all", "trained here"),
            ("tiny", "last", "network", "last2", "untrained"),
        ]
        counted = connection.execute("SELECT count(*), min(loss), max(micro_batch) FROM steps GROUP BY run_id")
        for steps, loss, micro_batch in counted:
            assert steps % 2 == 0 and loss > 0 and micro_batch <= 8
    for place in ("tiny/last", "pixels/cnn"):
        for figure in ("settings", "parts", "confusion", "reliability", "mistakes", "steps"):
            with Image.open(rerun.results / "report" / place / f"{figure}.png") as picture:
                assert min(picture.size) > 100
    steps = pd.read_csv(rerun.results / "members/last/rate0.001_decay0.0_seed0.steps.csv")
    assert steps["epoch"].max() == 1 and (steps["peak_mb"] > 0).all()
    assert "Nothing to be done" in rerun.snakemake("--cores", "2")
    assert "files are as they were written" in rerun.snakemake("verify")

    more = {**NETWORKS, "last": {**NETWORKS["last"], "learning_rates": RATES}}
    rerun.configure(networks=more)
    said = rerun.snakemake("--cores", "2")
    assert (jobs(said, "train_member"), jobs(said, "choose_network_last")) == (1, 1)
    assert jobs(said, "extract") == jobs(said, "train_head") == jobs(said, "choose_network_cnn") == 0


def test_a_training_that_was_killed_ends_in_the_same_bytes(rerun: Clone, tmp_path: Path) -> None:
    long, head = {"cnn": {**NETWORKS["cnn"], "epochs": 40}}, "results/few/heads/pixels.zarr/cnn/zarr.json"
    rerun.configure(networks=long)
    other = rerun.copy_to(tmp_path / "other").with_own_worker()
    rerun.snakemake("--cores", "1", head)
    process = subprocess.Popen(
        other.command("--cores", "1", head), cwd=other.folder, env=other.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    steps = other.results / "members/cnn/rate0.001_decay0.0_seed0.steps.csv"
    while process.poll() is None and not (steps.exists() and steps.read_text().count("\n") > 20):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (other.folder / head).exists()
    other.snakemake("--cores", "1", head)
    assert_same_bytes(other, rerun)


def test_what_cannot_be_is_said_before_training(rerun: Clone) -> None:
    rerun.configure(networks={"last": {**NETWORKS["last"], "minutes": 1e-6}})
    said = rerun.snakemake("--cores", "2", ok=False)
    assert "error: Training would take longer than it may." in said and jobs(said, "train_member") == 0
    assert not (rerun.results / "members/last/plan.json").exists()

    few = {**rerun.config["dataset"], "max_bad_share": 0.01}
    rerun.configure(dataset=few, networks={"cnn": NETWORKS["cnn"]})
    said = rerun.snakemake("--cores", "2", "--keep-going", ok=False)
    assert "max_bad_share" in said and jobs(said, "plan_network") == 0
