"""Flags that several subcommands share, and what they stand for."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unchoke.errors import UnchokeError
from unchoke.names import nearest

Main = Callable[[argparse.Namespace], int | None]
"""A subcommand: its exit status, None for 0."""


def subcommand(subcommands: Any, name: str, description: str | None, main: Main) -> argparse.ArgumentParser:
    """A parser for a subcommand whose help is its module's docstring."""
    text = (description or "").strip()
    parser: argparse.ArgumentParser = subcommands.add_parser(
        name,
        help=text.splitlines()[0],
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(main=main)
    return parser


def add_config_flag(parser: Any, *, required: bool = True) -> None:
    """``-c``, the config of the run."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", required=required, help="config of the run")


def existing_config(path: Path) -> Path:
    """`path`, where there is a file; UnchokeError with the configs that are here."""
    if path.is_file():
        return path
    folder = path.parent
    here = (
        sorted(file.name for ending in ("*.yaml", "*.yml") for file in folder.glob(ending)) if folder.is_dir() else []
    )
    near = nearest(path.name, here, count=1)
    raise UnchokeError(
        "The config is missing." if not path.exists() else "The config is no file.",
        found=", ".join(here[:5]) or f"no .yaml file in {folder}",
        where=str(path),
        do=f"-c {folder / near[0]}" if near else "write one: unchoke init FOLDER",
    )


def read_config(path: Path) -> dict[str, Any]:
    """The config of a file with every default filled in; UnchokeError where it does not hold."""
    import yaml

    from unchoke.config.load import load_config

    file = existing_config(path)
    try:
        raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnchokeError(
            "The config is no YAML.", found=" ".join(str(error).split()), where=str(file), do="correct this place"
        ) from None
    return load_config(raw or {}, [file])


def note(text: str) -> None:
    """Say something that is no result: on stderr, so that results can be piped."""
    print(text, file=sys.stderr, flush=True)
