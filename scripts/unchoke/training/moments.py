"""What torch's optimizers and loss scaling keep between steps, as tensors of a state file."""

import torch

from unchoke.training.resume import Tensors, part_of


def optimizer_tensors(optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler) -> Tensors:
    """``optimizer.*`` by the places of the parameters, and ``scale``."""
    tensors = {
        f"optimizer.{place}.{name}": tensor
        for place, state in optimizer.state_dict()["state"].items()
        for name, tensor in state.items()
    }
    scaling = scaler.state_dict()
    scale = [scaling.get("scale", 1.0), scaling.get("_growth_tracker", 0)]
    return tensors | {"scale": torch.tensor(scale, dtype=torch.float64)}


def restore_optimizer(optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, tensors: Tensors) -> None:
    """Go on from the result of ``optimizer_tensors``; others in `tensors` do not matter."""
    scale, tracker = tensors["scale"].tolist()
    if scaler.is_enabled():
        scaler.load_state_dict({**scaler.state_dict(), "scale": scale, "_growth_tracker": int(tracker)})
    state: dict[int, Tensors] = {}
    for name, tensor in part_of(tensors, "optimizer").items():
        place, _, rest = name.partition(".")
        state.setdefault(int(place), {})[rest] = tensor
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if all(optimizer.state.get(parameter) for parameter in parameters):  # in place: they keep their memory format
        for number, parameter in enumerate(parameters):
            for name, tensor in optimizer.state[parameter].items():
                tensor.copy_(state[number][name])
        return
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
