"""A member of an ablation: one network with its learning rate, weight decay and seed, and how far it has come."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from unchoke.mask_heads.batches import Moments
from unchoke.mask_heads.distil import projection_of
from unchoke.mask_heads.head import kind_of
from unchoke.mask_heads.layers import Standardise

Tensors = dict[str, torch.Tensor]


@dataclass
class Member:
    """One network and its optimizer."""

    model: nn.Module
    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    """Keeps gradients within float16; does nothing in other precisions."""
    rate: float
    seed: int
    score: float = float("nan")
    """Of what is kept: mean IoU on val; NaN where that is not known."""
    kept: Tensors | None = None
    """The weights of the best epoch; None where those of the last one count."""
    projection: nn.Module | None = None
    """To the features of a teacher; no part of the checkpoint."""

    def weights(self) -> Tensors:
        """What a checkpoint holds, on the CPU."""
        state = self.model.state_dict() if self.kept is None else self.kept
        return {name: tensor.cpu().clone() for name, tensor in state.items()}

    def judge(self, score: float, keep: str) -> None:
        """Take the score of an epoch, and keep its weights where the settings ask for the best."""
        if keep == "last":
            self.score = score
        elif score > self.score or math.isnan(self.score) > math.isnan(score):
            self.score = score
            self.kept = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def tensors(self) -> Tensors:
        """All that the training depends on and changes."""
        parts = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        parts |= {f"kept.{name}": tensor for name, tensor in (self.kept or {}).items()}
        if self.projection:
            parts |= {f"projection.{name}": tensor for name, tensor in self.projection.state_dict().items()}
        for place, state in self.optimizer.state_dict()["state"].items():
            parts |= {f"optimizer.{place}.{name}": tensor for name, tensor in state.items()}
        scaler = self.scaler.state_dict()
        progress = [self.score, scaler.get("scale", 1.0), scaler.get("_growth_tracker", 0)]
        return parts | {"progress": torch.tensor(progress, dtype=torch.float64)}

    def restore(self, parts: Tensors) -> None:
        """Go on from what ``tensors`` gave."""
        self.score, scale, tracker = parts["progress"].tolist()
        if self.scaler.is_enabled():
            self.scaler.load_state_dict({**self.scaler.state_dict(), "scale": scale, "_growth_tracker": int(tracker)})
        self.model.load_state_dict(below(parts, "model"))
        if self.projection:
            self.projection.load_state_dict(below(parts, "projection"))
        device = next(self.model.parameters()).device
        self.kept = {name: tensor.to(device) for name, tensor in below(parts, "kept").items()} or None
        state: dict[int, Tensors] = {}
        for name, tensor in below(parts, "optimizer").items():
            place, _, rest = name.partition(".")
            state.setdefault(int(place), {})[rest] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def begin(
    channels: dict[str, int],
    strides: dict[str, int],
    n_classes: int,
    settings: dict[str, Any],
    member: tuple[float, float, int],
    moments: Moments,
    device: torch.device,
    teacher_channels: int = 0,
) -> Member:
    """A member (learning rate, weight decay, seed) with its first weights, which depend on the seed alone.

    teacher_channels: of the features that it is brought close to; 0: of none.
    """
    rate, decay, seed = member
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = kind_of(settings).build(channels, strides, n_classes, settings)
        projection = projection_of(model, teacher_channels).to(device) if teacher_channels else None
    for part in model.modules():
        if isinstance(part, Standardise):
            part.take(moments)
    model.to(device)
    scaler = torch.amp.GradScaler(device.type, enabled=settings["precision"] == "float16")
    learnt = [*model.parameters(), *(projection.parameters() if projection else [])]
    optimizer = torch.optim.AdamW(learnt, rate, weight_decay=decay)
    return Member(model, optimizer, scaler, rate, seed, projection=projection)


def below(parts: Tensors, prefix: str) -> Tensors:
    """The tensors whose names begin with `prefix` and a point, without these."""
    return {name.removeprefix(f"{prefix}."): part for name, part in parts.items() if name.startswith(f"{prefix}.")}
