"""What every section of the config shares: closed to unknown keys, and it names the nearest right one."""

from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from unchoke.names import suggestion

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # what may be part of a path and of a Snakemake wildcard
NAME_LENGTH = 100
"""Characters of a name at most: of the 255 bytes of a file name, `.<encoder>@<view>.origin.json.<host>.tmp` adds 93."""
MAX_SEED = 2**64 - 1
"""The largest seed that PyTorch's generators take (`torch.Generator.manual_seed`)."""
MAX_STEPS = 1_000_000_000
"""Epochs, steps and iterations: more end on no machine, and a product with batches still fits 64 bits."""
MAX_MEMORY_MB = 2**24
"""16 TiB: more than a machine has, and in bytes still far within 64 bits."""
MAX_THREADS = 4096
"""More than a machine has processors; the operating system starts no more than some thousands a user."""
MAX_SIDE = 2**16
"""Pixels of a side: JPEG's limit, beyond which few decoders go."""


class Section(BaseModel):
    """A closed, read-only section; the docstring under a field is its description."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _name_unknown_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key '{key}': {suggestion(str(key), cls.model_fields)}")
        return value


def listed_in(folder: str) -> list[str]:
    """Names that may be chosen from a folder of the library: its modules, none of which is imported."""
    modules = [entry.name for entry in files("unchoke").joinpath(folder).iterdir()]
    return sorted(name.removesuffix(".py") for name in modules if name.endswith(".py") and name != "__init__.py")


def one_of(names: list[str], name: str) -> str:
    """`name` if it is one of `names`; ValueError with the nearest one otherwise."""
    if name not in names:
        raise ValueError(f"unknown name '{name}': {suggestion(name, names)}")
    return name


def without_braces(path: str) -> str:
    """`path`, which becomes an input or output of a rule; ValueError where Snakemake would find a wildcard in it."""
    if "{" in path or "}" in path:
        raise ValueError(f"'{path}' may not have braces, which Snakemake takes for wildcards: rename it, or link to it")
    return path
