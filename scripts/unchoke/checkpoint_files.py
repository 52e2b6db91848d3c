"""The one owner of checkpoints on disk: the tensors of all replicates in a safetensors file that says what they are.

A tensor is called ``<replicate>.<name>``; the facts are JSON in the file's metadata, under ``unchoke``.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from unchoke.errors import UnchokeError
from unchoke.files import write_atomic
from unchoke.hashing import canonical_json, sha256_bytes
from unchoke.regular_files import check_regular

Tensors = dict[str, torch.Tensor]


def write_checkpoint(path: Path, replicates: Sequence[Tensors], facts: dict[str, Any]) -> str:
    """Write a checkpoint; its sha256. facts: plain data, with the version of what wrote it."""
    tensors = {
        f"{number}.{name}": tensor.cpu().contiguous().clone()  # replicates share some
        for number, replicate in enumerate(replicates)
        for name, tensor in replicate.items()
    }
    data = save(tensors, metadata={"unchoke": canonical_json(facts)})
    write_atomic(path, data)
    return sha256_bytes(data)


def read_checkpoint_file(
    path: Path, what: str, version: int, needed: Sequence[str]
) -> tuple[dict[str, Any], list[Tensors]]:
    """Those facts of a checkpoint that are `needed`, and the tensors of each replicate.

    what: it shall hold, for the UnchokeError where the file is not one of ours, or of another version than `version`.
    """
    try:
        check_regular(path)
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["unchoke"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
        found, known = facts["version"], {name: facts[name] for name in needed}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UnchokeError(
            f"The file holds no {what} of Unchoke.",
            found=str(error) or type(error).__name__,
            where=str(path),
            do=f"give the .safetensors file of a {what}, from the folder checkpoints",
        ) from None
    if found != version:
        raise UnchokeError(
            f"The {what} is of another version of Unchoke.",
            found=f"version {found}",
            expected=f"version {version}",
            where=str(path),
            do="train the head anew: snakemake --cores all",
        )
    replicates: dict[int, Tensors] = {}
    for name, tensor in tensors.items():
        number, _, rest = name.partition(".")
        replicates.setdefault(int(number), {})[rest] = tensor
    return known, [replicates[number] for number in sorted(replicates)]
