"""The start of a network from a probe: its classifier has the weights of a linear head on the same encoder.

So training changes the features less (LP-FT, Kumar et al. 2022, arXiv 2202.10054).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from unchoke.encoders.pools.pool import FeatureMap, feature_map, find_pool
from unchoke.errors import UnchokeError
from unchoke.heads.checkpoint import Head
from unchoke.names import PROBES
from unchoke.networks.network import Network
from unchoke.training.resume import Tensors

POOLS = ("avg", "cls", "head", "max")
DECISIVE = ("model", "weights_sha256", "image_size")
"""Facts in which encoder and probe must agree."""


def refuse_unfit_start(head: Head, facts: Mapping[str, Any], classes: Sequence[str]) -> None:
    """UnchokeError where a head is no linear one, or of other classes or another encoder than a network.

    facts: of the network's encoder, with all of ``DECISIVE``.
    """
    kind = head.settings["kind"]
    problems = {
        "kind": (kind, kind if kind in PROBES else f"one of {', '.join(PROBES)}"),
        "classes": (", ".join(head.classes), ", ".join(classes)),
        **{name: (head.encoder.get(name), facts[name]) for name in DECISIVE},
    }
    for name, (found, expected) in problems.items():
        if found != expected:
            raise UnchokeError(
                "The network cannot start from this head.",
                found=f"{name} {found}",
                expected=f"{name} {expected}",
                where=str(head.path),
                do="name another head in start, or set start: null",
            )


def start_from(network: Network, head: Head) -> Network:
    """The network with its classifier's weights from a head; a head's replicates are averaged.

    Raises UnchokeError where the head's pool is not the classifier's input, or the classifier is not one linear layer.
    """
    classifier = network.classifier
    if not isinstance(classifier, nn.Linear | nn.Conv2d):
        raise UnchokeError(
            "The network's classifier is not one linear layer.",
            found=type(classifier).__name__,
            expected="Linear, or a convolution of one place",
            do="set start: null",
        )
    _refuse_other_pool(network.model, classifier, head)
    folded = [linear_layer(tensors, head.settings["kind"]) for tensors in head.replicates]
    weight_CD, bias_C = (torch.stack(parts).mean(0) for parts in zip(*folded, strict=True))
    with torch.no_grad():
        classifier.weight.copy_(weight_CD.view(classifier.weight.shape))
        if classifier.bias is not None:
            classifier.bias.copy_(bias_C)
    return network


def linear_layer(tensors: Tensors, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (C, D) and bias (C,), float64: W (x - mean) / scale + b of a head as one layer."""
    part = {name: tensor.double() for name, tensor in tensors.items()}
    weight_CD = (part["weight"] if kind == "logistic" else part["weight"].T) / part["scale"]
    return weight_CD, part["bias"].flatten() - weight_CD @ part["mean"]


def _refuse_other_pool(model: nn.Module, classifier: nn.Module, head: Head) -> None:
    pool, size = head.settings["pool"], int(head.encoder["image_size"])
    fitting = pools_of(model, classifier, size)
    if pool not in fitting:
        raise UnchokeError(
            "The network's classifier does not read what the head was trained on.",
            found=f"pool {pool}",
            expected=f"pool {' or '.join(fitting)}" if fitting else "a pool that the classifier reads: there is none",
            where=str(head.path),
            do=f"train a head with pool: {fitting[0]} and name it in start" if fitting else "set start: null",
        )


@torch.no_grad()
def pools_of(model: Any, classifier: nn.Module, image_size: int) -> list[str]:
    """The pools that give the classifier's input, found out on random images."""
    seen: list[torch.Tensor] = []
    x = torch.rand(2, 3, image_size, image_size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    handle = classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].flatten(1)))
    model.eval()(x)
    handle.remove()
    features = feature_map(model, model.forward_features(x))
    return [name for name in POOLS if _agree(name, features, seen[0])]


def _agree(name: str, features: FeatureMap, expected_BD: torch.Tensor) -> bool:
    try:
        pool: Callable[[FeatureMap], torch.Tensor] = find_pool(name, features.model)
        found_BD = pool(features).flatten(1)
    except UnchokeError:
        return False
    return found_BD.shape == expected_BD.shape and torch.allclose(found_BD, expected_BD, rtol=1e-3, atol=1e-4)
