"""Gradients and predictions of one batch, each repeated in halves when memory runs out."""

import torch
from torch import nn

from unchoke.encoders.encoder import PRECISIONS
from unchoke.machine.halving import in_halves
from unchoke.mask_heads.layers import Maps
from unchoke.mask_heads.losses import Loss
from unchoke.names import IGNORED


def gradients(
    model: nn.Module,
    maps: Maps,
    label: torch.Tensor,
    loss_of: Loss,
    weight_K: torch.Tensor,
    precision: str,
    scaler: torch.amp.GradScaler,
    micro_batch: int,
) -> tuple[torch.Tensor, int]:
    """Leaves the gradients of a batch in the model; its loss, float32 (), and the micro-batch that memory allowed.

    Parts of a batch add up to the gradients of the whole, whatever their size, but that batch norm takes its statistics
    from a part. An attempt that fails leaves no trace: buffers and random numbers are then as they were.
    """
    device, buffers = label.device, [(buffer, buffer.clone()) for buffer in model.buffers()]
    on_card = device.type == "cuda"
    random = torch.get_rng_state(), torch.cuda.get_rng_state(device) if on_card else None

    def attempt(size: int) -> torch.Tensor:
        model.zero_grad(set_to_none=True)
        for buffer, before in buffers:
            buffer.copy_(before)
        torch.set_rng_state(random[0])
        if random[1] is not None:
            torch.cuda.set_rng_state(random[1], device)
        total = torch.zeros((), device=device)
        for start in range(0, len(label), size):
            part = slice(start, start + size)
            with torch.autocast(device.type, PRECISIONS[precision], enabled=precision != "float32"):
                logits = model({name: x[part] for name, x in maps.items()})
            loss = loss_of(logits.float(), label[part], weight_K, label)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    return in_halves(attempt, micro_batch)


@torch.inference_mode()
def logits_of(model: nn.Module, maps: Maps, precision: str) -> torch.Tensor:
    """Logits (B, K, S, S), float32, of a model in its state of evaluation."""
    device = next(iter(maps.values())).device
    with torch.autocast(device.type, PRECISIONS[precision], enabled=precision != "float32"):
        logits: torch.Tensor = model(maps)
    return logits.float()


def count(
    model: nn.Module, maps: Maps, label: torch.Tensor, precision: str, micro_batch: int
) -> tuple[torch.Tensor, bool, int]:
    """Counts (K, K), truth in rows, of a batch's pixels; whether all logits were finite; the micro-batch as above."""

    def attempt(size: int) -> tuple[torch.Tensor, bool]:
        counts, finite = torch.zeros((), dtype=torch.int64, device=label.device), True
        for start in range(0, len(label), size):
            part = slice(start, start + size)
            logits = logits_of(model, {name: x[part] for name, x in maps.items()}, precision)
            counts = counts + counts_of(label[part], logits.max(1).indices, logits.shape[1])
            finite = finite and bool(torch.isfinite(logits).all())
        return counts, finite

    (counts, finite), micro_batch = in_halves(attempt, micro_batch)
    return counts, finite, micro_batch


def counts_of(label: torch.Tensor, predicted: torch.Tensor, n_classes: int) -> torch.Tensor:
    """``iou.counts_of``, on the device that the pixels are on."""
    known = label != IGNORED
    cells_N = label[known].long() * n_classes + predicted[known]
    return torch.bincount(cells_N, minlength=n_classes**2).view(n_classes, n_classes)
