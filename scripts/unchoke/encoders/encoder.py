"""Frozen encoders: from uint8 pictures to pooled features, or to maps of them."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load
from timm import create_model

from unchoke.encoders.activations import Activations, activations_at
from unchoke.encoders.cards import read_card
from unchoke.encoders.cut import cut_network
from unchoke.encoders.maps import feature_maps, find_maps
from unchoke.encoders.pools.pool import FeatureMap, feature_map, find_pool
from unchoke.encoders.preprocessing import resized_px, transform_of
from unchoke.errors import UnchokeError, mend
from unchoke.hashing import sha256_bytes
from unchoke.images.steps import FORWARD, NORMALISE, PLAIN, TO_DEVICE, Steps
from unchoke.machine.halving import is_out_of_memory
from unchoke.names import ACTIVATIONS, blocks_of_pool

CPU = torch.device("cpu")
PRECISIONS = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


Forward = Callable[[torch.Tensor], dict[str, torch.Tensor]]
"""From normalised pictures (B, 3, H, W) to what an encoder gives, by name."""


class Encodes(Protocol):
    """What turns pictures into arrays: an encoder, a teacher, or pixels alone. Its parts are those of ``Encoder``."""

    @property
    def device(self) -> torch.device: ...
    @property
    def image_size(self) -> int: ...
    @property
    def arrays(self) -> list[str]: ...
    def encode(self, images_B3HW: torch.Tensor) -> Mapping[str, NDArray[Any]]: ...


class SeesImages(Encodes, Protocol):
    """What sees whole images, each made to its size by itself."""

    def preprocess(self) -> Callable[[Image.Image], torch.Tensor]: ...
    @property
    def resized_px(self) -> int: ...


@dataclass(frozen=True)
class Encoder:
    """A frozen encoder on its device. Made by ``load_encoder``."""

    model: torch.nn.Module
    device: torch.device
    precision: torch.dtype
    image_size: int
    """Height and width of what it sees, px."""
    card: Mapping[str, Any]
    """What the weights are; see ``weights.fetch_weights``."""
    pools: Mapping[str, Callable[[FeatureMap], torch.Tensor]]
    maps: Mapping[str, int] = field(default_factory=dict)
    """Feature maps that it gives, in the place of pools; see ``maps.find_maps``."""
    cut: Activations | None = None
    """Where its last blocks are cut off. `model` is what is left, and gives their input in the place of pools."""
    compiled: Forward | None = None
    """What computes in the place of ``forward``; see ``compiled.compile_encoder``."""
    compiled_threads: int = 0
    """Threads that it is compiled for and computes with; 0 where it is eager."""
    steps: Steps = PLAIN
    """What takes its steps; a profile's own times or replaces them."""

    @property
    def arrays(self) -> list[str]:
        """Names of all that it gives."""
        return [ACTIVATIONS] if self.cut else [*self.pools, *self.maps]

    def preprocess(self) -> Callable[[Image.Image], torch.Tensor]:
        """timm's evaluation transform up to its normalisation: an RGB picture to uint8 (3, H, W)."""
        return transform_of(self.image_size, self.card["data_config"], self.steps)

    @property
    def resized_px(self) -> int:
        """Shorter side of a picture before the crop, px."""
        return resized_px(self.image_size, self.card["data_config"])

    def encode(self, images_B3HW: torch.Tensor) -> dict[str, NDArray[np.float32]]:
        """Features of a batch: uint8 (B, 3, H, W) on the CPU to float32 (B, D) a pool, (B, C, h, w) a map.

        Activations have the axes of ``Activations.stored_shape``.

        Where memory runs out all the same, the batch is done in halves: nothing in it depends on its neighbours.
        """
        try:
            return self.encode_once(images_B3HW)
        except RuntimeError as error:
            if len(images_B3HW) == 1 or not is_out_of_memory(error):
                raise
        # Outside the except block: its traceback would keep the tensors of the failed attempt alive.
        torch.cuda.empty_cache()
        halves = [self.encode(half) for half in images_B3HW.tensor_split(2)]
        return {name: np.concatenate([half[name] for half in halves]) for name in halves[0]}

    @torch.inference_mode()
    def encode_once(self, images_B3HW: torch.Tensor) -> dict[str, NDArray[np.float32]]:
        """As ``encode``, in one go; an error of memory where that does not fit."""
        images_B3HW = self.steps.take(TO_DEVICE, self._to_device, images_B3HW)
        x_B3HW = self.steps.take(NORMALISE, self._from_bytes, images_B3HW)
        found = self.steps.take(FORWARD, self._compute, x_B3HW)
        return {name: values.float().cpu().numpy() for name, values in found.items()}

    def _to_device(self, images_B3HW: torch.Tensor) -> torch.Tensor:
        return images_B3HW.to(self.device, non_blocking=True)

    def _from_bytes(self, images_B3HW: torch.Tensor) -> torch.Tensor:
        return self.normalise(images_B3HW.float().div_(255))

    def _compute(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        with torch.autocast(self.device.type, self.precision, enabled=self.device.type == "cuda"):
            return (self.compiled or self.forward)(x)

    def forward(self, x_B3HW: torch.Tensor) -> dict[str, torch.Tensor]:
        """What it gives of normalised pictures, by name."""
        if self.cut:
            return {ACTIVATIONS: self.model(x_B3HW).reshape(-1, *self.cut.stored_shape)}
        if self.maps:
            return feature_maps(self.model, x_B3HW, self.maps)
        features = feature_map(self.model, self.model.forward_features(x_B3HW))  # type: ignore[operator]
        return {name: pool(features) for name, pool in self.pools.items()}

    def normalise(self, x_B3HW: torch.Tensor) -> torch.Tensor:
        """Pictures of 0 to 1 as the model wants them; in place."""
        x = x_B3HW.sub_(self._channel("mean")).div_(self._channel("std"))
        return x.contiguous(memory_format=torch.channels_last)

    def _channel(self, key: str) -> torch.Tensor:
        return torch.tensor(self.card["data_config"][key], device=self.device).view(1, 3, 1, 1)


_loaded: OrderedDict[tuple[object, ...], Encoder] = OrderedDict()


def keep_encoder(
    weights: Path,
    card: Path,
    image_size: int | None,
    pools: list[str],
    device: torch.device,
    precision: str,
    budget_mb: float,
    strides: Sequence[int] = (),
) -> Encoder:
    """As ``load_encoder``, but loaded once a process: commands that a warm worker runs find it where they left it.

    Those used least recently go when the weights of all take more than a quarter of `budget_mb`.
    """
    file = (weights.resolve(), weights.stat().st_mtime_ns, card.read_bytes())
    key = (*file, image_size, *pools, *strides, device, precision)
    if key not in _loaded:
        _loaded[key] = load_encoder(weights, card, image_size, pools, device, precision, strides)
    _loaded.move_to_end(key)
    while len(_loaded) > 1 and sum(map(weights_mb, _loaded.values())) > budget_mb / 4:
        _loaded.popitem(last=False)
    return _loaded[key]


def weights_mb(encoder: Encoder) -> float:
    """What an encoder's weights take in memory, MB of 2**20 bytes."""
    return float(sum(tensor.nbytes for tensor in encoder.model.state_dict().values())) / 2**20


def load_encoder(
    weights: Path,
    card: Path,
    image_size: int | None,
    pools: list[str],
    device: torch.device,
    precision: str,
    strides: Sequence[int] = (),
) -> Encoder:
    """The encoder of a weights file and its card, ready on `device`.

    image_size: height and width it shall see, px; None: as its weights were made for. strides: of the maps to give in
    the place of pools, px. pools: or one ``names.cut_pool``, whose activations it then gives.
    Raises UnchokeError where the file is not what its card says, or the model cannot have the size, a pool, a stride or
    the cut.
    """
    facts, data = read_card(card), weights.read_bytes()
    if (found := sha256_bytes(data)) != facts["sha256"]:
        raise UnchokeError(
            "The weights are not those that their card describes.",
            found=f"sha256 {found}",
            expected=f"sha256 {facts['sha256']}",
            where=str(weights),
            do=mend(weights),
        )
    model = create_model(facts["model"], pretrained=False, num_classes=0)
    model.load_state_dict(load(data))
    size = image_size or facts["data_config"]["input_size"][-1]
    resize(model, size)
    cut = None
    for blocks in filter(None, map(blocks_of_pool, pools)):
        parts = cut_network(model, blocks, size)
        cut, model = activations_at(parts.cut, model), parts.frozen
    # The same features on every run, also on a card whose library would try several algorithms and keep the fastest.
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    model = model.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
    found_pools = {} if cut else {name: find_pool(name, model) for name in pools}
    return Encoder(model, device, PRECISIONS[precision], size, facts, found_pools, find_maps(model, list(strides)), cut)


def resize(model: Any, size: int) -> None:
    """Let a model of fixed size see `size` px; convolutional ones see any. UnchokeError where it cannot."""
    own = model.pretrained_cfg.get("input_size", (3, size, size))[-1]
    if size == own or not hasattr(model, "set_input_size"):
        return
    patch_px = getattr(getattr(model, "patch_embed", None), "patch_size", (1, 1))[0]
    problem = f"its patches have {patch_px} px" if size % patch_px else ""
    try:
        model.set_input_size(img_size=(size, size))
    except (AssertionError, ValueError, RuntimeError) as error:
        problem = str(error)
    if problem:
        raise UnchokeError(
            "The encoder cannot see this image size.",
            found=f"image_size {size}: {problem}",
            expected=f"{own}, or a size that its patches divide",
            do="correct encoders.*.image_size",
        ) from None
