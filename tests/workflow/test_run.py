"""The whole workflow by real runs of Snakemake: what a user does, and what it must not do again."""

import csv
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import zarr
from conftest import CONFIG, Clone, jobs
from PIL import Image
from safetensors.torch import load_file

from unchoke import versions
from unchoke.sources.kinds.digits import digit_files

pytestmark = pytest.mark.xdist_group("run")

# The result of a head: what train_head puts in its place.
NEIGHBOURS = (
    "heads/tiny.zarr/neighbours/zarr.json",
    "checkpoints/tiny/neighbours.safetensors",
    "runs/tiny/neighbours.json",
)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_command_runs_everything(finished: tuple[Clone, str]) -> None:
    clone, output = finished
    assert jobs(output, "extract_chunk") == 3  # 47 images in chunks of 16
    said = clone.logs("build_database")
    assert "logistic" in said and "its figures are a floor" in said
    connection = sqlite3.connect(clone.results / "experiments.db")
    board = connection.execute("SELECT head, test_accuracy FROM leaderboard").fetchall()
    assert {head for head, _ in board} == {"logistic", "neighbours"}
    assert [accuracy for _, accuracy in board] == sorted((accuracy for _, accuracy in board), reverse=True)
    assert not connection.execute("PRAGMA foreign_key_check").fetchall()


def test_features_are_what_timm_computes(finished: tuple[Clone, str]) -> None:
    clone, _ = finished
    model = timm.create_model("test_resnet", pretrained=False, num_classes=0).eval()
    model.load_state_dict(load_file(clone.folder / "resources/weights/test_resnet.untrained-0.safetensors"))
    config = {**timm.data.resolve_model_data_config(model), "input_size": (3, 32, 32)}
    transform = timm.data.create_transform(**config)
    store = zarr.open_group(clone.results / "features/tiny.zarr", mode="r")
    for row in rows_of(clone.results / "manifest.csv"):
        place = int(row["image_id"])
        if not store["valid"][place]:
            assert row["path"] == "0/broken.png"
            continue
        image = Image.open(clone.folder / "images" / row["path"]).convert("RGB")
        with torch.inference_mode():
            expected = model.forward_features(transform(image)[None])
        np.testing.assert_allclose(store["avg"][place], expected.mean((2, 3))[0], rtol=2e-3, atol=1e-4)
        np.testing.assert_allclose(store["max"][place], expected.amax((2, 3))[0], rtol=2e-3, atol=1e-4)


def test_test_accuracy_follows_from_the_stored_logits(finished: tuple[Clone, str]) -> None:
    clone, _ = finished
    manifest = {row["image_id"]: row for row in rows_of(clone.results / "manifest.csv")}
    group = zarr.open_group(clone.results / "heads/tiny.zarr/logistic", mode="r")
    classes = group.attrs["unchoke"]["classes"]
    ids = group["test_image_id"][:]
    assert {manifest[str(i)]["split"] for i in ids} == {"test"}
    (logits_NC,) = group["test_logits"][:]  # of one replicate
    predicted = [classes[place] for place in logits_NC.argmax(1)]
    right = np.mean([manifest[str(i)]["label"] == label for i, label in zip(ids, predicted, strict=True)])
    figure = group.attrs["unchoke"]["metrics"]["test"]["accuracy"]
    assert figure["value"] == pytest.approx(right)
    assert figure["low"] <= figure["value"] <= figure["high"]


def test_broken_images_are_quarantined_with_their_reason(finished: tuple[Clone, str]) -> None:
    rows = rows_of(finished[0].results / "quarantine.csv")
    assert [row["path"] for row in rows] == ["0/broken.png"]
    assert "truncated" in rows[0]["reason"]


def test_nothing_is_done_twice(rerun: Clone) -> None:
    assert "Nothing to be done" in rerun.snakemake("--cores", "2")


def test_a_deleted_chunk_is_rebuilt_alone_and_its_bytes_return(rerun: Clone) -> None:
    chunk = rerun.results / "features/tiny.zarr/avg/c/1/0"
    before = chunk.read_bytes()
    others = rerun.times("features/tiny.zarr/*/c/[02]/0")
    chunk.unlink()
    output = rerun.snakemake("--cores", "2")
    assert jobs(output, "extract_chunk") == 1
    assert chunk.read_bytes() == before
    assert rerun.times("features/tiny.zarr/*/c/[02]/0") == others


def test_verify_names_a_damaged_chunk_and_the_command_that_mends_it(rerun: Clone) -> None:
    assert "all 9 chunk files are as they were sealed" in rerun.snakemake("verify")
    chunk = rerun.results / "features/tiny.zarr/max/c/2/0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    output = rerun.snakemake("verify", ok=False)
    assert "max/c/2/0: sha256" in output
    mend = next(line for line in output.splitlines() if "--forcerun" in line).split("--forcerun ")[1]
    output = rerun.snakemake("--cores", "2", "--forcerun", mend)
    assert jobs(output, "extract_chunk") == 1
    assert chunk.read_bytes() == whole
    rerun.snakemake("verify")


def test_new_images_cost_their_own_chunks_only(rerun: Clone) -> None:
    before = rerun.times("features/tiny.zarr/*/c/[01]/0")
    old = rows_of(rerun.results / "manifest.csv")
    more = [sorted(name for name in digit_files() if name.startswith(digit))[30] for digit in ("0/", "1/")]
    rerun.add_images(more)
    output = rerun.snakemake("--cores", "2")
    assert jobs(output, "extract_chunk") == 2  # 47 + 2 images: the third chunk fills up, a fourth begins
    assert rerun.times("features/tiny.zarr/*/c/[01]/0") == before
    new = rows_of(rerun.results / "manifest.csv")
    assert new[: len(old)] == old
    assert [row["path"] for row in new[len(old) :]] == more
    store = zarr.open_group(rerun.results / "features/tiny.zarr", mode="r")
    assert store["avg"].shape[0] == len(new) == 49


def test_moved_images_keep_id_split_and_features(rerun: Clone) -> None:
    """A class is renamed, a file moves, two change names. All bytes stay, so that no image is encoded again."""
    images, manifest = rerun.folder / "images", rerun.results / "manifest.csv"
    before, seal = rows_of(manifest), (rerun.results / "features/tiny.sealed.json").read_bytes()
    times, figures = rerun.times("features/tiny.*/**/[0-9]*"), accuracies(rerun)
    in_class = [row for row in before if row["label"] == "1"]
    moved, one = in_class[:2]
    other = next(row for row in in_class[2:] if row["size_bytes"] != one["size_bytes"])
    (images / "0").rename(images / "zero")
    (images / "1/below").mkdir()
    (images / moved["path"]).rename(images / "1/below/größe.png")
    for old, new in ((one["path"], "swap"), (other["path"], one["path"]), ("swap", other["path"])):
        (images / old).rename(images / new)

    output = rerun.snakemake("--cores", "2")
    assert (jobs(output, "build_manifest"), jobs(output, "extract_chunk"), jobs(output, "train_head")) == (1, 0, 2)
    new_path = {moved["path"]: "1/below/größe.png", one["path"]: other["path"], other["path"]: one["path"]}
    for row in before:
        row["path"] = new_path.get(row["path"], re.sub("^0/", "zero/", row["path"]))
        row["label"] = {"0": "zero", "1": "1"}[row["label"]]
    assert rows_of(manifest) == before
    assert (rerun.results / "features/tiny.sealed.json").read_bytes() == seal
    assert rerun.times("features/tiny.*/**/[0-9]*") == times
    assert accuracies(rerun) == figures
    log = (rerun.folder / "logs/few/build_manifest.log").read_text()
    assert f"{len(before) - len(in_class) + 3} images moved: they keep id, split and features" in log
    assert len(rows_of(rerun.results / "moves.csv")) == len(before) - len(in_class) + 3
    rerun.snakemake("verify")

    # A second encoder finds the files where they are now, and a forgotten image counts nowhere.
    (images / before[40]["path"]).unlink()
    encoders = dict.fromkeys(("tiny", "second"), CONFIG["encoders"]["tiny"])
    rerun.configure(encoders=encoders, dataset={**CONFIG["dataset"], "vanished": "forget"})
    output = rerun.snakemake("--cores", "2")
    assert jobs(output, "extract_chunk_tiny") == 0
    first, second = (zarr.open_group(rerun.results / f"features/{name}.zarr", mode="r") for name in encoders)
    there = np.array([row["excluded"] == "" for row in rows_of(manifest)])
    assert np.array_equal(first["avg"][:][there], second["avg"][:][there])
    assert [row["path"] for row in rows_of(rerun.results / "quarantine.csv")] == ["zero/broken.png"]
    gone = [row for row in rows_of(manifest) if row["excluded"] == "forgotten"]
    assert [(row["image_id"], row["label"], row["split"]) for row in gone] == [("40", "", "")]


def accuracies(clone: Clone) -> list[tuple[str, float]]:
    with closing(sqlite3.connect(clone.results / "experiments.db")) as connection:
        return connection.execute("SELECT head, test_accuracy FROM leaderboard ORDER BY head").fetchall()


def test_a_changed_head_alone_is_trained_again(rerun: Clone) -> None:
    rerun.configure(heads={"logistic": {"kind": "logistic", "c": [0.01, 1.0]}, "neighbours": {"kind": "knn", "k": [5]}})
    output = rerun.snakemake("--cores", "2")
    assert (jobs(output, "train_head"), jobs(output, "extract_chunk")) == (1, 0)


def test_another_positive_class_is_read_without_training(rerun: Clone) -> None:
    query = "SELECT DISTINCT positive, asked_specificity, test_sensitivity IS NULL FROM leaderboard"
    with closing(sqlite3.connect(rerun.results / "experiments.db")) as connection:
        assert connection.execute(query).fetchall() == [("1", 0.95, 0)]
    rerun.configure(evaluation={"positive": "0", "specificity": 0.8})
    output = rerun.snakemake("--cores", "2")
    assert (jobs(output, "build_database"), jobs(output, "train_head"), jobs(output, "draw_head")) == (1, 0, 0)
    with closing(sqlite3.connect(rerun.results / "experiments.db")) as connection:
        assert connection.execute(query).fetchall() == [("0", 0.8, 0)]


def test_a_database_of_the_release_before_is_built_again_unasked(rerun: Clone) -> None:
    database, version = rerun.results / "experiments.db", str(versions.DATABASE)
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:  # no column `task`
        connection.execute("CREATE VIEW leaderboard AS SELECT 1 AS test_accuracy")
    for path in rerun.folder.glob(".snakemake/metadata/*"):
        record = json.loads(path.read_text())
        if record["rule"] == "build_database":
            assert version in record["params"]
            record["params"] = [str(versions.DATABASE - 1) if one == version else one for one in record["params"]]
            path.write_text(json.dumps(record))
    output = rerun.snakemake("--cores", "2")
    assert (jobs(output, "build_database"), jobs(output, "draw_leaderboard"), jobs(output, "train_head")) == (1, 1, 0)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT DISTINCT task FROM leaderboard").fetchall() == [("classification",)]


def test_an_ablation_is_added_alone_and_never_runs_twice(rerun: Clone) -> None:
    before = rerun.times("heads/**/zarr.json") | rerun.times("checkpoints/tiny/*.safetensors")
    ablation = {"kind": "linear", "learning_rates": [0.001, 0.01], "seeds": [0, 1], "epochs": 3}
    rerun.configure(heads={**CONFIG["heads"], "ablation": ablation})
    output = rerun.snakemake("--cores", "2")
    assert (jobs(output, "train_head"), jobs(output, "extract_chunk")) == (1, 0)
    after = rerun.times("heads/**/zarr.json") | rerun.times("checkpoints/tiny/*.safetensors")
    assert before.items() <= after.items()
    assert not list(rerun.results.rglob("*.drafts"))
    connection = sqlite3.connect(rerun.results / "experiments.db")
    assert connection.execute(
        "SELECT count(*) FROM trials JOIN runs USING (run_id) JOIN heads USING (head_id) WHERE name = 'ablation'"
    ).fetchone() == (2,)
    assert "Nothing to be done" in rerun.snakemake("--cores", "2")
    rerun.configure(heads={**CONFIG["heads"], "ablation": {**ablation, "encoders": ["tiny"]}})  # says the same
    assert jobs(rerun.snakemake("--cores", "2"), "train_head") == 0


def test_another_repeat_of_the_split_trains_every_head_once_more_and_nothing_else(rerun: Clone) -> None:
    kept = {}
    for repeats in (2, 3):
        rerun.configure(dataset={**CONFIG["dataset"], "split": {"repeats": repeats}})
        output = rerun.snakemake("--cores", "2")
        rules = ("train_repeat", "draw_repeat", "train_head", "select_rows", "seal_features", "build_manifest")
        assert [jobs(output, rule) for rule in rules] == [2, 1, 0, 0, 0, 0]
        assert f"over {repeats} splits: mean ± sd" in rerun.logs("build_database")
        times = rerun.times("manifest.csv") | rerun.times("heads/**/zarr.json") | rerun.times("repeats/1/**/*")
        assert kept.items() <= times.items()
        kept = times
    with closing(sqlite3.connect(rerun.results / "experiments.db")) as connection:
        assert connection.execute("SELECT DISTINCT splits, splits_counted FROM leaderboard").fetchall() == [(3, 3)]
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (2,)
    tests = {
        tuple(zarr.open_group(folder / "heads/tiny.zarr/logistic", mode="r")["test_image_id"][:])
        for folder in (rerun.results, rerun.results / "repeats/1", rerun.results / "repeats/2")
    }
    assert len(tests) == 3
    assert "Nothing to be done" in rerun.snakemake("--cores", "2")
    assert "as they were" in rerun.snakemake("verify")


def test_a_view_is_chunks_of_its_own_and_costs_no_others(rerun: Clone) -> None:
    before = rerun.times("features/tiny.zarr/*/c/*/0") | rerun.times("features/tiny.zarr/zarr.json")
    heads = {**CONFIG["heads"], "both": {"kind": "ridge", "train_views": ["identity", "hflip"]}}
    rerun.configure(encoders={"tiny": {**CONFIG["encoders"]["tiny"], "views": ["identity", "hflip"]}}, heads=heads)
    asked = rerun.snakemake("-n")
    assert asked.count("features/tiny@hflip.zarr/avg/c/") >= 3
    assert jobs(asked, "extract_chunk_tiny:") == 0
    output = rerun.snakemake("--cores", "2")
    assert jobs(output, "extract_chunk_tiny@hflip") == jobs(output, "extract_chunk") == 3
    assert rerun.times("features/tiny.zarr/*/c/*/0") | rerun.times("features/tiny.zarr/zarr.json") == before
    stores = [zarr.open_group(rerun.results / f"features/{name}.zarr", mode="r") for name in ("tiny", "tiny@hflip")]
    np.testing.assert_array_equal(stores[0]["valid"][:], stores[1]["valid"][:])
    assert np.any(stores[0]["avg"][:] != stores[1]["avg"][:])
    facts = zarr.open_group(rerun.results / "heads/tiny.zarr/both", mode="r").attrs["unchoke"]
    assert set(facts["features_sha256"]) == {"identity", "hflip"}
    assert jobs(output, "train_head") == 1  # the new one
    assert rerun.snakemake("verify").count("all 9 chunk files are as they were sealed") == 2


def test_a_changed_image_size_starts_the_store_afresh(rerun: Clone) -> None:
    rerun.configure(
        chunk_size=32,
        encoders={"tiny": {"model": "test_resnet", "weights": "untrained", "image_size": 40, "pools": ["avg", "max"]}},
    )
    output = rerun.snakemake("--cores", "2")
    assert jobs(output, "extract_chunk") == 2
    assert sorted(path.name for path in (rerun.results / "features/tiny.zarr/avg/c").iterdir()) == ["0", "1"]


def test_a_single_chunk_is_a_target(clone: Clone) -> None:
    target = "results/few/features/tiny.zarr/avg/c/2/0"
    output = clone.snakemake("--cores", "1", target)
    assert jobs(output, "extract_chunk") == 1
    assert (clone.folder / target).exists()
    assert not (clone.results / "features/tiny.zarr/zarr.json").exists()


def test_a_dry_run_touches_nothing(clone: Clone) -> None:
    before = sorted(path.name for path in clone.folder.iterdir())
    assert "build_manifest" in clone.snakemake("-n")
    assert [name for name in sorted(path.name for path in clone.folder.iterdir()) if name != ".snakemake"] == before


def test_a_head_that_fails_leaves_its_old_result(rerun: Clone) -> None:
    old = {name: (rerun.results / name).read_bytes() for name in NEIGHBOURS}
    heads = {**CONFIG["heads"], "neighbours": {**CONFIG["heads"]["neighbours"], "k": [100_000]}}
    rerun.configure(heads=heads)
    output = rerun.snakemake("--cores", "2", ok=False)
    assert "fewer training images than neighbours" in output
    assert {name: (rerun.results / name).read_bytes() for name in NEIGHBOURS} == old
    rerun.configure()
    assert jobs(rerun.snakemake("--cores", "2"), "extract_chunk") == 0
