"""Stage: check, before any image is read, that encoders have the pools, strides and sizes of the config."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from timm import create_model
from timm.data.config import resolve_model_data_config

from unchoke.encoders.cut import cut_network
from unchoke.encoders.encoder import resize
from unchoke.encoders.maps import find_maps
from unchoke.encoders.places import Cut
from unchoke.encoders.pools.pool import feature_map, find_pool
from unchoke.encoders.weights import refuse_unknown_model
from unchoke.errors import UnchokeError


def check_encoders(encoders: Mapping[str, Mapping[str, Any]]) -> None:
    """UnchokeError for the first encoder that its model does not allow; models that cannot be checked yet are printed.

    encoders: by name, each with ``model``, ``image_size``, ``pools`` and ``strides`` as in the config, and ``blocks``,
    the numbers of last blocks that networks train.
    """
    for name, asked in encoders.items():
        try:
            blocks = asked.get("blocks", ())
            check_encoder(asked["model"], asked["image_size"], asked["pools"], asked["strides"], blocks)
        except UnchokeError as error:
            raise UnchokeError(f"encoders.{name}: {error}") from error
        except Exception as error:  # the hub without a network, or code that needs values
            reason = " ".join(str(error).split())[:200]
            print(f"note: encoders.{name} is checked when its memory is planned ({reason})", flush=True)


def check_encoder(
    model_name: str,
    image_size: int | None,
    pools: Sequence[str],
    strides: Sequence[int],
    blocks: Sequence[int] = (),
) -> None:
    """UnchokeError where a timm model is unknown, or lacks this size, px, or one of these pools, strides or cuts.

    blocks: numbers of last blocks before each of which it shall be cut.
    """
    refuse_unknown_model(model_name)
    for count in blocks:
        find_cut(model_name, image_size, count)
    model, size = shaped_model(model_name, image_size)
    find_maps(model, list(strides))
    found = [find_pool(name, model) for name in pools]
    if not found:
        return
    with torch.inference_mode():
        features = feature_map(model, model.forward_features(torch.zeros(1, 3, size, size, device="meta")))
        for pool in found:
            pool(features)


def shaped_model(model_name: str, image_size: int | None) -> tuple[Any, int]:
    """A model that has shapes and no values (torch's device ``meta``), so that none is too large; and its size, px."""
    with torch.device("meta"):
        model: Any = create_model(model_name, pretrained=False, num_classes=0).eval()
    size = image_size or resolve_model_data_config(model)["input_size"][-1]  # type: ignore[no-untyped-call]
    resize(model, size)
    return model, size


def find_cut(model_name: str, image_size: int | None, blocks: int) -> Cut:
    """Where a model of timm is parted before its last blocks; UnchokeError where it cannot be."""
    model, size = shaped_model(model_name, image_size)
    return cut_network(model, blocks, size).cut
