"""A member of an ablation: one network with its learning rate, weight decay and seed."""

from dataclasses import dataclass

import torch
from torch import nn

from unchoke.mask_heads.distil import projection_of
from unchoke.mask_heads.head import kind_of
from unchoke.mask_heads.layers import Standardise
from unchoke.mask_heads.objectives import Objectives
from unchoke.mask_heads.task import Task
from unchoke.training.moments import optimizer_tensors, restore_optimizer
from unchoke.training.resume import Tensors, part_of


@dataclass
class Member:
    """One network and its optimizer."""

    model: nn.Module
    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    """Keeps gradients within float16; does nothing in other precisions."""
    rate: float
    seed: int
    kept: Tensors | None = None
    """Weights of the best epoch; None where the last epoch's count."""
    projection: nn.Module | None = None
    """To the features of a teacher; no part of the checkpoint."""

    def weights(self) -> Tensors:
        """The weights for the checkpoint, on the CPU."""
        state = self.model.state_dict() if self.kept is None else self.kept
        return {name: tensor.cpu().clone() for name, tensor in state.items()}

    def keep(self) -> None:
        """Keep the weights of now."""
        self.kept = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def tensors(self) -> Tensors:
        """Everything that the training changes."""
        parts = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        parts |= {f"kept.{name}": tensor for name, tensor in (self.kept or {}).items()}
        if self.projection:
            parts |= {f"projection.{name}": tensor for name, tensor in self.projection.state_dict().items()}
        return parts | optimizer_tensors(self.optimizer, self.scaler)

    def restore(self, parts: Tensors) -> None:
        """Go on from the result of ``tensors``."""
        self.model.load_state_dict(part_of(parts, "model"))
        if self.projection:
            self.projection.load_state_dict(part_of(parts, "projection"))
        device = next(self.model.parameters()).device
        self.kept = {name: tensor.to(device) for name, tensor in part_of(parts, "kept").items()} or None
        restore_optimizer(self.optimizer, self.scaler, parts)


def begin(task: Task, objectives: Objectives, rate: float, decay: float, seed: int) -> Member:
    """A member with its initial weights, which depend on the seed alone."""
    settings, device, channels = task.settings, task.device, objectives.teacher_channels
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = kind_of(settings).build(task.train.channels, task.train.strides, task.n_classes, settings)
        projection = projection_of(model, channels).to(device) if channels else None
    for part in model.modules():
        if isinstance(part, Standardise):
            part.take(objectives.moments)
    model.to(device)
    scaler = torch.amp.GradScaler(device.type, enabled=settings["precision"] == "float16")
    learnt = [*model.parameters(), *(projection.parameters() if projection else [])]
    optimizer = torch.optim.AdamW(learnt, rate, weight_decay=decay)
    return Member(model, optimizer, scaler, rate, seed, projection=projection)
