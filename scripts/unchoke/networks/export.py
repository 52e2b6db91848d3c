"""Stage: a trained network as files for other programs: safetensors for timm, ONNX, and a card beside them."""

import importlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from unchoke.errors import UnchokeError
from unchoke.files import file_sha256, json_bytes, write_atomic
from unchoke.networks.checkpoint import TrainedNetwork
from unchoke.networks.network import Network

TOLERANCE = 1e-4
"""Of logits, relative to the largest: rounding in float32 stays below it."""
_CROP = ("interpolation", "crop_pct", "crop_mode")
_BATCHES = (1, 3)
"""Images of the batches that are compared."""


@dataclass(frozen=True)
class Whole:
    """One replicate of a network, from pixels to logits, as timm makes it."""

    network: Network
    model: nn.Module
    """All of it in one, loaded from the file."""
    image_size: int

    def largest_difference(self, logits_of: Callable[[torch.Tensor], NDArray[np.float32]]) -> float:
        """Largest difference of logits from those of the trained network, relative to the largest of these (or 1).

        logits_of: from pixels of 0 to 1, float32 (B, 3, H, W). The pixels are random, in batches of ``_BATCHES``.
        """
        found = 0.0
        for count in _BATCHES:
            pixels = torch.rand(count, 3, self.image_size, self.image_size, generator=torch.Generator().manual_seed(0))
            expected_BC = self.logits(pixels)
            scale = max(1.0, float(np.abs(expected_BC).max()))
            found = max(found, float(np.abs(logits_of(pixels) - expected_BC).max()) / scale)
        return found

    @torch.no_grad()
    def logits(self, pixels_B3HW: torch.Tensor) -> NDArray[np.float32]:
        """Logits (B, C) of the trained network, in its parts."""
        logits: torch.Tensor = self.network.trained(self.network.activations(self.normalise(pixels_B3HW)))
        return logits.numpy()

    def normalise(self, pixels_B3HW: torch.Tensor) -> torch.Tensor:
        """Pixels of 0 to 1 as the model wants them."""
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (self.network.mean, self.network.std))
        return (pixels_B3HW - mean) / std


class FromPixels(nn.Module):
    """A model that normalises its pixels itself."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, whole: Whole) -> None:
        super().__init__()
        self.model = whole.model
        self.register_buffer("mean", torch.tensor(whole.network.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(whole.network.std).view(1, -1, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits (B, C) of pixels of 0 to 1, float32 (B, 3, H, W)."""
        logits: torch.Tensor = self.model((pixels - self.mean) / self.std)
        return logits


def export_network(
    network: TrainedNetwork, weights: Path | None, replicate: int, output: Path, tolerance: float = TOLERANCE
) -> Whole:
    """Write a replicate as safetensors with timm's names, and ``<output>.json``, its card; say how exact it is.

    weights: file of the encoder, where a part is frozen. Raises UnchokeError where there is no such replicate, or where
    timm's model with these tensors gives other logits than the trained network; nothing is written then. Nor does it
    take the place of what it is made of.
    """
    _refuse_place(output, (network.path, weights))
    if not 0 <= replicate < len(network.replicates):
        raise UnchokeError(
            "The network has no such replicate.",
            found=f"{replicate}",
            expected=f"0 to {len(network.replicates) - 1}",
            where=str(network.path),
            do="correct --replicate",
        )
    parts = replace(network, settings={**network.settings, "cache": "none"}).build(replicate, weights)
    parts.model.eval()
    call = _call(network, parts)
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in parts.model.state_dict().items()}
    with TemporaryDirectory() as folder:
        file = Path(folder, "model.safetensors")
        file.write_bytes(save(tensors, metadata={"format": "pt"}))
        whole = Whole(parts, load_as_others_do(call, file), network.encoder["image_size"])
        with torch.no_grad():
            difference = whole.largest_difference(lambda pixels: whole.model(whole.normalise(pixels)).numpy())
        _refuse_other(output, "timm's model", difference, tolerance)
        card = {**_card(network, parts, replicate), "create_model": call, "sha256": file_sha256(file)}
        write_atomic(output, file.read_bytes())
    write_atomic(output.with_suffix(".json"), json_bytes(card))
    return whole


def load_as_others_do(call: dict[str, Any], file: Path) -> nn.Module:
    """As a program without Unchoke does it; UnchokeError where timm has no such model of this size."""
    try:
        return timm.create_model(**call, checkpoint_path=str(file)).eval()
    except (RuntimeError, TypeError) as error:
        raise UnchokeError(
            "timm cannot make a model that takes the network's tensors.",
            found=" ".join(str(error).split())[:300],
            expected=f"a model of timm.create_model with {call}",
            do="train with encoders.*.image_size as timm has it: some models (Swin) have other tensors for other sizes",
        ) from None


def write_onnx(whole: Whole, output: Path, tolerance: float = TOLERANCE) -> None:
    """Write the network as ONNX: ``pixels`` of 0 to 1, float32 (B, 3, H, W), to ``logits`` (B, C), B of any size.

    Raises UnchokeError where a package is missing, torch cannot translate the network, or onnxruntime's logits differ.
    """
    onnx, onnxruntime, _ = (_package(name) for name in ("onnx", "onnxruntime", "onnxscript"))
    with TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        _translate(whole, file)
        onnx.checker.check_model(str(file))
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        difference = whole.largest_difference(lambda pixels: session.run(None, {"pixels": pixels.numpy()})[0])
        _refuse_other(output, "onnxruntime", difference, tolerance)
        write_atomic(output, file.read_bytes())


def _translate(whole: Whole, file: Path) -> None:
    pixels = torch.rand(2, 3, whole.image_size, whole.image_size)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own parts
            torch.onnx.export(
                FromPixels(whole).eval(),
                (pixels,),
                file,
                input_names=["pixels"],
                output_names=["logits"],
                dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # of any kind: code of any model runs here
        raise UnchokeError(
            "torch cannot translate the network to ONNX.",
            found=" ".join(str(error).split())[:300] or type(error).__name__,
            where=f"{type(whole.model).__name__}",
            do="leave --onnx out and use the safetensors file; or install newer releases of torch and onnxscript",
        ) from error


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnchokeError(
            "ONNX needs packages that are not here.", found=str(error), do="install them: pip install '.[onnx]'"
        ) from None


def _refuse_other(output: Path, who: str, difference: float, tolerance: float) -> None:
    print(f"{output}: logits of {who} differ by {difference:.1e} of the largest at most", flush=True)
    if not difference <= tolerance:
        raise UnchokeError(
            f"The exported network gives other logits by {who}.",
            found=f"{difference:.1e} of the largest",
            expected=f"{tolerance:.1e} at most",
            where=str(output),
            do="raise --tolerance if that is exact enough for you; the file was not written",
        )


def _refuse_place(output: Path, made_of: Sequence[Path | None]) -> None:
    if output.suffix != ".safetensors" or output.resolve() in {file.resolve() for file in made_of if file}:
        raise UnchokeError(
            "The network cannot be written to this file.",
            found=str(output),
            expected="a name that ends in .safetensors, and neither the checkpoint nor the encoder's weights",
            do="correct --output",
        )


def _call(network: TrainedNetwork, parts: Network) -> dict[str, Any]:
    """The arguments of ``timm.create_model``, all but the file."""
    size, own = network.encoder["image_size"], parts.model.pretrained_cfg["input_size"][-1]  # type: ignore[index]
    resized = {"img_size": size} if size != own and hasattr(parts.model, "set_input_size") else {}
    return {"model_name": network.encoder["model"], "num_classes": len(network.classes), **resized}


def _card(network: TrainedNetwork, parts: Network, replicate: int) -> dict[str, Any]:
    """What a program must know that uses the network."""
    facts = network.encoder
    crop = facts["transform"] if network.sees_pixels else facts["data_config"]
    views: Sequence[str] = network.settings["test_views"]
    return {
        "classes": network.classes,
        "image_size": facts["image_size"],
        **{name: crop[name] for name in _CROP},
        "mean": list(parts.mean),
        "std": list(parts.std),
        "temperature": network.temperatures[replicate],
        "test_views": list(views),
        "replicate": replicate,
        "replicates": len(network.replicates),
        "checkpoint_sha256": file_sha256(network.path),
    }
