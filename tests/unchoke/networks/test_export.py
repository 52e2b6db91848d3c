"""Networks written for other programs give the logits of the run: by timm, and by onnxruntime."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from trained_networks import GIVEN, TrainedRun

import unchoke
from unchoke.errors import UnchokeError
from unchoke.networks import export
from unchoke.networks.checkpoint import read_network

ONNX = ("onnx", "onnxruntime", "onnxscript")


@pytest.fixture(autouse=True)
def in_its_folder(run: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.folder)


def exported(run: TrainedRun, name: str, output: Path, *more: str) -> dict[str, Any]:
    """The card beside the file that the command writes."""
    flags = ["--checkpoint", f"{run.checkpoint(name)}", "--output", f"{output}", *more]
    importlib.import_module("export_network").main(flags)
    return json.loads(output.with_suffix(".json").read_text())  # type: ignore[no-any-return]


def seen(run: TrainedRun, name: str) -> np.ndarray:
    """The first images as the network sees them, uint8."""
    return unchoke.open_features(f"features/{run.pixels(name)}.zarr").features("pixels")[:4]


def logits_of(model: torch.nn.Module, card: dict[str, Any], x_B3HW: np.ndarray) -> np.ndarray:
    """Of pixels from 0 to 1, normalised by hand as the card says."""
    mean, std = (np.reshape(card[name], (1, 3, 1, 1)) for name in ("mean", "std"))
    with torch.no_grad():
        return model(torch.from_numpy(((x_B3HW / 255 - mean) / std).astype(np.float32))).numpy()


@pytest.mark.parametrize("name", GIVEN)
def test_timm_loads_the_file_and_gives_the_runs_logits(run: TrainedRun, name: str, tmp_path: Path) -> None:
    """Exactly where the run saw pixels; else up to float16, in which its activations were cached."""
    network, logits = read_network(run.checkpoint(name)), []
    for replicate in range(len(network.replicates)):
        file = tmp_path / f"{replicate}.safetensors"
        card = exported(run, name, file, "--replicate", f"{replicate}")
        model = timm.create_model(**card["create_model"], checkpoint_path=str(file)).eval()
        logits.append(logits_of(model, card, seen(run, name)))
        assert card["classes"] == ["0", "1"] and model.num_classes == 2
        assert (card["image_size"], card["temperature"]) == (32, network.temperatures[replicate])
    if name == "cut":
        x, tolerance = unchoke.open_features("features/vit~last1.zarr").features("activations")[:4], 2e-3
    else:
        x, tolerance = seen(run, name), 1e-5
        network = replace(network, weights=run.weights(name) if name == "again" else None)
    expected_RNC = network.logits(x)
    np.testing.assert_allclose(np.stack(logits), expected_RNC, rtol=0, atol=tolerance * np.abs(expected_RNC).max())
    assert len(logits) == 1 or np.abs(logits[0] - logits[1]).max() > 0.01


@pytest.mark.parametrize("name", ["cut", "cnn"])
def test_onnx_takes_batches_of_any_size(run: TrainedRun, name: str, tmp_path: Path) -> None:
    _, onnxruntime, _ = (pytest.importorskip(package, reason="the extra onnx is not installed") for package in ONNX)
    file, x_B3HW = tmp_path / "it.safetensors", seen(run, name)
    card = exported(run, name, file, "--onnx", f"{tmp_path / 'it.onnx'}")
    model = timm.create_model(**card["create_model"], checkpoint_path=str(file)).eval()
    session = onnxruntime.InferenceSession(str(tmp_path / "it.onnx"), providers=["CPUExecutionProvider"])
    for count in (1, 4):
        (found,) = session.run(["logits"], {"pixels": (x_B3HW[:count] / 255).astype(np.float32)})
        np.testing.assert_allclose(found, logits_of(model, card, x_B3HW[:count]), rtol=1e-4, atol=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.json", "it.onnx", "it.safetensors"]


def test_a_model_that_timm_does_not_make_is_refused(run: TrainedRun, tmp_path: Path) -> None:
    """Swin has other tensors for other sizes; here a classifier of other classes stands for them."""
    (tmp_path / "it.safetensors").write_bytes(run.weights("cut").read_bytes())
    with pytest.raises(UnchokeError, match=r"(?s)cannot make a model.*found: +Error.*num_classes"):
        export.load_as_others_do({"model_name": "test_vit", "num_classes": 2}, tmp_path / "it.safetensors")


def test_what_cannot_be_exported_is_said_and_nothing_written(
    run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, checkpoint = tmp_path / "it.safetensors", run.checkpoint("cnn")
    before = checkpoint.read_bytes()
    wrong = [
        (("cut", output, "--replicate", "2"), "(?s)no such replicate.*found: +2.*expected: +0 to 1"),
        (("cnn", output, "--tolerance", "-1"), "(?s)other logits by timm's model.*0.0e"),
        (("cnn", checkpoint), "(?s)cannot be written to this file.*neither the checkpoint"),
        (("cut", run.weights("cut"), "--weights", f"{run.weights('cut')}"), "cannot be written to this file"),
        (("cnn", output.with_suffix(".pt")), "ends in .safetensors"),
        (("cut", output, "--weights", f"{run.weights('again')}"), "(?s)weights of the network's encoder.*sha256"),
    ]
    for arguments, message in wrong:
        with pytest.raises(UnchokeError, match=message):
            exported(run, *arguments)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UnchokeError, match=r"(?s)packages that are not here.*onnxruntime.*pip install '\.\[onnx\]'"):
        exported(run, "cnn", tmp_path / "other" / "it.safetensors", "--onnx", f"{tmp_path / 'it.onnx'}")
    assert [path.name for path in tmp_path.iterdir()] == ["other"] and checkpoint.read_bytes() == before
