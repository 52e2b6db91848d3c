"""What a step needs to be done again: kept where its loss is not finite."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from unchoke.errors import UnchokeError
from unchoke.files import write_atomic
from unchoke.networks.step import Batch, Learner


def refuse_not_finite(
    learner: Learner, batch: Batch, path: Path | None, loss: float, *, step: int, epoch: int, rate: float, size: int
) -> None:
    """Keep the batch below `path` and raise UnchokeError. size: the micro-batch.

    Of a float32 training the network's weights are those before the step, since no update has taken place.
    """
    facts = {"seed": learner.draws.seed, "step": step, "epoch": epoch, "rate": rate, "micro_batch": size}
    if path is not None:
        tensors = {f"network.{name}": tensor for name, tensor in learner.network.trained.state_dict().items()}
        tensors |= {"x": batch.x, "image_id": torch.from_numpy(batch.image_id_B), "label": batch.targets.label_B}
        if batch.targets.partner_B is not None and batch.targets.share_B is not None:
            tensors |= {"partner": batch.targets.partner_B, "share": batch.targets.share_B}
        on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        described = {"facts": json.dumps(facts), "settings": json.dumps(learner.settings)}
        write_atomic(path, save(on_cpu, metadata=described))
    ids = ", ".join(map(str, np.sort(batch.image_id_B)[:5]))
    raise UnchokeError(
        f"The loss is not finite at step {step}, in epoch {epoch + 1}.",
        found=f"loss {loss} at learning rate {rate:g}, seed {facts['seed']}; image_id {ids}, …",
        where=f"{path} holds the batch, its numbers and the weights" if path else "",
        do="lower learning_rates, set clip_norm, or precision: bfloat16 or float32; look at these images",
    )
