"""The command: all encoders and networks of a config, files at the end alone, and nothing left by a killed one."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_patches import random_picture, write_pair, write_picture

import profile_pipeline
from unchoke.config.load import load_config
from unchoke.encoders.weights import fetch_weights
from unchoke.files import write_atomic
from unchoke.machine import devices, lease
from unchoke.profiling import extraction
from unchoke.profiling.rounds import WHOLE
from unchoke.signed import signed_bytes

ENCODER = {"model": "test_resnet", "weights": "untrained", "image_size": 32, "pools": ["avg"]}
NETWORKS = {
    "cut": {"encoder": "tiny", "blocks": 1, "batch_size": 16},
    "frozen": {"encoder": "tiny", "blocks": 1, "cache": "none", "augment": ["hflip"], "batch_size": 16},
    "whole": {"model": "small_cnn", "image_size": 16, "batch_size": 16, "mixup": 0.2},
}
FILES = ["profile.csv", "profile.json", "report/profile.png"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def encoder_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Weights, card and plan of the encoder `tiny`."""
    folder = tmp_path_factory.mktemp("weights")
    files = {"weights": folder / "w.safetensors", "card": folder / "card.json", "plan": folder / "plan.json"}
    fetch_weights("test_resnet", "untrained", 0, files["weights"], files["card"])
    write_atomic(files["plan"], signed_bytes({"micro_batch": 8}))
    return {name: str(file) for name, file in files.items()}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """34 pictures of two classes, one of them broken."""
    folder = tmp_path / "images"
    for number in range(34):
        write_picture(folder / f"{number % 2}/{number:02}.png", random_picture(40, 40, number))
    (folder / "0/broken.png").write_bytes(b"no image")
    return folder


def flags(config: dict[str, Any], files: dict[str, str], results: Path, seconds: float = 0.1) -> list[str]:
    config = load_config({"heads": {}, "cleaning": None, **config})
    given = {"config": json.dumps(config), "files": json.dumps({"tiny": files}), "results": str(results)}
    given |= {"seconds": str(seconds), "images": "64", "threads": "1", "device": "cpu"}
    return [part for name, value in given.items() for part in (f"--{name}", value)]


def dataset(kind: str, path: Path) -> dict[str, Any]:
    return {"name": "small", "kind": kind, "path": str(path)}


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_encoder_and_network_is_profiled(
    pictures: Path, encoder_files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"dataset": dataset("folder", pictures), "encoders": {"tiny": ENCODER}, "networks": NETWORKS}
    profile_pipeline.main(flags(config, encoder_files, tmp_path / "results"))
    found = json.loads((tmp_path / "results/profile.json").read_text())
    assert {of: list(named) for of, named in found.items()} == {"extraction": ["tiny"], "training": list(NETWORKS)}
    assert list(found["extraction"]["tiny"]["unreadable"]) == ["0/broken.png"]
    parts = {name: [row["step"] for row in profile["steps"]] for name, profile in found["training"].items()}
    assert parts["cut"] == parts["whole"] == ["read", "inputs", "forward", "backward", "update"]
    assert parts["frozen"] == ["read", "inputs", "frozen part", "forward", "backward", "update"]
    for profile in found["training"].values():
        assert sum(row["share"] for row in profile["steps"]) + profile["rest"]["share"] == pytest.approx(1)
    with (tmp_path / "results/profile.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["of"], row["name"]) for row in rows} == {
        ("extraction", "tiny"),
        *(("training", name) for name in NETWORKS),
    }
    assert written(tmp_path / "results") == FILES
    said = capsys.readouterr().out
    assert "profiling extraction of tiny, 35 images at most: about 0 s …" in said
    assert "\ntraining of frozen: " in said
    assert "frozen part: none, since no frozen part runs in a step" in said
    assert "1 images of the sample cannot be read, and are left out" in said


def test_masks_are_profiled_by_their_patches(
    encoder_files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("train/a", "train/b", "val/c", "test/d"):
        write_pair(tmp_path / "data", name, 150, 200)  # 3 × 4 patches
    config = {
        "dataset": dataset("masks", tmp_path / "data"),
        "encoders": {"tiny": {"model": "test_resnet", "weights": "untrained", "strides": [4, 8]}},
        "patches": {"size": 64, "overlap": 16, "per_chunk": 16},
    }
    profile_pipeline.main(flags(config, encoder_files, tmp_path / "results"))
    found = json.loads((tmp_path / "results/profile.json").read_text())["extraction"]["tiny"]
    assert [row["step"] for row in found["steps"]] == ["open", "cut", "normalise", "forward"]
    assert " patches/s" in found["verdict"] and "images/s" not in capsys.readouterr().out
    assert (found["images"], found["image_size"]) == (32, 64)  # of 48, since the time is short
    assert found["absent"]["JPEG draft"] == "patches are cut from images in full size"
    [slowest] = found["slowest"]
    assert (slowest["width"], slowest["height"], slowest["format"]) == (200, 150, "PNG")
    path, _, corner = slowest["path"].partition(" at ")  # which one is the slowest is up to the machine
    assert path.startswith("images/") and ("the first patch of its image" in slowest["why"]) == (corner == "0, 0")


def test_one_that_is_interrupted_or_killed_leaves_nothing_and_the_next_works(
    pictures: Path,
    encoder_files: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(arms: dict[str, Callable[[], float]], *_: object) -> None:
        arms[WHOLE]()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    config = {"dataset": dataset("folder", pictures), "encoders": {"tiny": ENCODER}}
    results, before = tmp_path / "results", written(pictures)
    with monkeypatch.context() as patch:
        patch.setattr(extraction, "in_rounds", interrupted)
        assert profile_pipeline.run(profile_pipeline.main, flags(config, encoder_files, results)) == 130
    assert capsys.readouterr().err == ""
    assert not results.exists() and written(pictures) == before
    command = [sys.executable, profile_pipeline.__file__, *flags(config, encoder_files, results, 600)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout and process.stdout.readline().startswith("profiling extraction of tiny")
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not results.exists() and written(pictures) == before
    profile_pipeline.main(flags(config, encoder_files, results))
    assert written(results) == FILES


def test_a_source_without_enough_images_is_refused_before_anything_is_written(
    encoder_files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(10):
        write_picture(tmp_path / f"images/a/{number}.png", random_picture(8, 8))
    config = {"dataset": dataset("folder", tmp_path / "images"), "encoders": {"tiny": ENCODER}}
    assert profile_pipeline.run(profile_pipeline.main, flags(config, encoder_files, tmp_path / "results")) == 1
    said = capsys.readouterr().err
    assert "error: There are too few images to measure." in said and "found: 10 images" in " ".join(said.split())
    assert not (tmp_path / "results").exists()


def test_the_holder_of_the_card_is_named_while_the_profile_waits(
    pictures: Path, encoder_files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card is made up; the wait ends in the message, where a real one would go on."""
    monkeypatch.setenv("UNCHOKE_LOCKS", str(tmp_path / "locks"))
    take = "from unchoke.machine.lease import take_lease; take_lease('card'); print(flush=True)"
    hold = f"import sys; {take}; sys.stdin.read()"
    holder = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout and holder.stdin and holder.stdout.readline()
    monkeypatch.setattr(devices, "choose_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(devices, "card_uuid", lambda: "card")
    told: list[str] = []

    def stop(text: str, **_: Any) -> None:
        told.append(text)
        raise KeyboardInterrupt

    monkeypatch.setattr(lease, "print", stop, raising=False)
    config = {"dataset": dataset("folder", pictures), "encoders": {"tiny": ENCODER}}
    assert profile_pipeline.run(profile_pipeline.main, flags(config, encoder_files, tmp_path / "results")) == 130
    holder.communicate()
    assert told[0].startswith("waiting: for graphics card card, since ") and f"held by pid {holder.pid} " in told[0]
    assert not (tmp_path / "results").exists()
