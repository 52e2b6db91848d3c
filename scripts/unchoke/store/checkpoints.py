"""The one owner of checkpoints on disk: a safetensors file with the tensors of all replicates and their description.

A tensor is called ``<replicate>.<name>``; the facts are JSON in the file's metadata, under ``unchoke``. ``place`` names
the encoder and the head. ``sha256`` covers all tensors and all other facts, so that the file alone shows any damage.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from unchoke.errors import UnchokeError, mend
from unchoke.files import file_sha256, write_atomic
from unchoke.hashing import canonical_json, sha256_bytes
from unchoke.regular_files import check_regular
from unchoke.store.run_record import NETWORK
from unchoke.store.zarr_bytes import METADATA, read_facts

Tensors = dict[str, torch.Tensor]
_DIGEST = "sha256"


def write_checkpoint(path: Path, replicates: Sequence[Tensors], facts: dict[str, Any]) -> str:
    """Write a checkpoint and return the file's sha256. facts: plain data, with the version of the stage."""
    tensors = {
        f"{number}.{name}": tensor.cpu().contiguous().clone()  # replicates share some
        for number, replicate in enumerate(replicates)
        for name, tensor in replicate.items()
    }
    facts = {**facts, "place": [path.parent.name, path.stem]}
    signed = {**facts, _DIGEST: _digest(tensors, facts)}
    data = save(tensors, metadata={"unchoke": canonical_json(signed)})
    write_atomic(path, data)
    return sha256_bytes(data)


def _digest(tensors: Tensors, facts: dict[str, Any]) -> str:
    digest = hashlib.sha256(canonical_json(facts).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(canonical_json([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def holds_network(path: Path) -> bool:
    """Whether a checkpoint says that it holds a network, of whatever version; False where it says nothing."""
    try:
        check_regular(path)
        with safe_open(path, "pt") as file:
            return _kind(json.loads((file.metadata() or {})["unchoke"])) == NETWORK
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RecursionError):
        return False  # who reads the file says what is wrong with it


def _kind(facts: Any) -> str:
    """The kind in the settings of a checkpoint's facts; empty for none."""
    settings = facts.get("settings") if isinstance(facts, dict) else None
    return str(settings.get("kind", "")) if isinstance(settings, dict) else ""


def read_checkpoint_file(
    path: Path, what: str, version: int, needed: Sequence[str]
) -> tuple[dict[str, Any], list[Tensors]]:
    """The `needed` facts of a checkpoint, and the tensors of each replicate.

    what: name of the expected content, for the message. Raises UnchokeError if the file is not a checkpoint, has
    another version, was changed, or lies in the place of another head.
    """
    try:
        check_regular(path)
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {})["unchoke"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
        found = facts["version"]
        if _kind(facts) and (_kind(facts) == NETWORK) != (what == NETWORK):  # their versions are counted apart
            raise ValueError(f"a checkpoint of kind {_kind(facts)}")
        known = {name: facts[name] for name in needed} if found == version else {}  # other versions may lack some
    except (OSError, SafetensorError, LookupError, TypeError, ValueError, RecursionError) as error:
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
    _refuse_changed(path, what, facts, tensors)
    replicates: dict[int, Tensors] = {}
    for name, tensor in tensors.items():
        number, _, rest = name.partition(".")
        replicates.setdefault(int(number), {})[rest] = tensor
    return known, [replicates[number] for number in sorted(replicates)]


def _refuse_changed(path: Path, what: str, facts: dict[str, Any], tensors: Tensors) -> None:
    """UnchokeError if a checkpoint was changed, or lies in the place of another head.

    A copy outside the folder of results has no place to be compared with.
    """
    encoder, head = path.parent.name, path.stem
    group = path.absolute().parents[2] / "heads" / f"{encoder}.zarr" / head
    found = ""
    if facts.get(_DIGEST) != _digest(tensors, {name: fact for name, fact in facts.items() if name != _DIGEST}):
        found = "another digest than the one that it holds"
    elif path.absolute().parents[1].name == "checkpoints" and facts["place"] != [encoder, head]:
        found = f"the {what} {'/'.join(facts['place'])}"
    elif (group / METADATA).is_file() and read_facts(group)["checkpoint_sha256"] != file_sha256(path):
        found = f"another file than the one whose results are in {group}"
    if found:
        problem = f"The checkpoint of a {what} is not as it was written."
        raise UnchokeError(problem, found=found, expected=f"that of {encoder}/{head}", where=str(path), do=mend(path))
