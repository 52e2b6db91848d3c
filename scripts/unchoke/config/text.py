"""The config's own text: what Snakemake's reader takes in silence, and where in which file a value stands.

YAML 1.1, which Snakemake reads, keeps the last of two values of one key, and takes 010 for eight and 1:30 for ninety.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from unchoke.errors import UnchokeError

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same reader in C, where PyYAML was built with it
_UNLIKE_WRITTEN = [
    (re.compile(r"[-+]?0[0-9_]+"), "a number with leading zeros is an octal one in YAML"),
    (re.compile(r"[-+]?0b.*"), "0b begins a binary number in YAML 1.1 alone"),
    (re.compile(r".*:.*"), "numbers with colons between are minutes and seconds in YAML 1.1"),
    (re.compile(r".*_.*"), "YAML 1.1 leaves out the _ of a number"),
]

Keys = tuple[str, ...]


def check_files(files: Sequence[Path]) -> None:
    """UnchokeError where a key stands twice in one of the files, or a value is read as another than it seems to be."""
    for file in files:
        if file.is_file():
            check_text(file.read_text(encoding="utf-8"), str(file))


def check_text(text: str, where: str) -> None:
    """`check_files` for the text of one; where: what messages call it."""
    try:
        root = _compose(text)
    except yaml.YAMLError:
        _refuse_double_names(text, where)
        return
    is_json = _is_json(text)
    for keys, node in _nodes(root):
        if isinstance(node, yaml.MappingNode):
            _refuse_double_keys(node, keys, where)
        elif not is_json and isinstance(node, yaml.ScalarNode):
            _refuse_unlike_written(node, keys, where)


def check_arguments(arguments: Sequence[str]) -> None:
    """`check_files` for what the command line says behind ``--config``, whose values Snakemake reads as plain text."""
    seen: dict[str, str] = {}
    for entry in _config_entries(arguments):
        name, _, value = entry.partition("=")
        if name in seen:
            raise _double_key(name, f"{seen[name]} and {value}", "--config")
        seen[name] = value
        if value.lstrip()[:1] in ("{", "["):
            check_text(value, f"--config {name}=…")


def places(files: Sequence[Path]) -> dict[Keys, str]:
    """For every value ``file:line: text``, by its keys; the last file that has it counts, as for Snakemake."""
    found: dict[Keys, str] = {}
    for file in files:
        try:
            root = _compose(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        for keys, node in _nodes(root):
            text = f": {node.value}" if isinstance(node, yaml.ScalarNode) else ""
            found[keys] = f"{file}:{node.start_mark.line + 1}{text}"
    return found


def _config_entries(arguments: Sequence[str]) -> Iterator[str]:
    """What stands behind ``--config`` or ``-C``: all up to the next flag."""
    inside = False
    for argument in arguments:
        if argument.startswith("-"):
            inside = argument in ("--config", "-C")
            yield from (argument[len(flag) :] for flag in ("--config=", "-C=") if argument.startswith(flag))
        elif inside:
            yield argument


def _compose(text: str) -> yaml.Node | None:
    loader = _LOADER(text.expandtabs(1))  # JSON may have tabs between its tokens
    try:
        return loader.get_single_node()  # type: ignore[no-any-return]
    finally:
        loader.dispose()


def _is_json(text: str) -> bool:
    """Whether Snakemake reads the text as JSON, which it tries first."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _refuse_double_names(text: str, where: str) -> None:
    """UnchokeError where a key stands twice in JSON that YAML's reader does not take, and so without its line."""

    def once(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise _double_key(name, "", where)

    with contextlib.suppress(ValueError):
        json.loads(text, object_pairs_hook=once)


def _nodes(root: yaml.Node | None) -> Iterator[tuple[Keys, yaml.Node]]:
    """Every value below `root` with its keys, in the order of the text; a part with an anchor comes once."""
    waiting: list[tuple[Keys, yaml.Node]] = [] if root is None else [((), root)]
    seen: set[int] = set()
    while waiting:
        keys, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield keys, node
        if isinstance(node, yaml.MappingNode):
            waiting += [((*keys, str(key.value)), value) for key, value in reversed(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [((*keys, str(place)), value) for place, value in reversed(list(enumerate(node.value)))]


def _refuse_double_keys(mapping: yaml.MappingNode, keys: Keys, where: str) -> None:
    """UnchokeError with both lines; ``<<``, whose keys others may override, counts as a key as well."""
    lines: dict[tuple[str, Any], int] = {}
    for key, _ in mapping.value:
        line = key.start_mark.line + 1
        name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else ("", id(key))
        if name in lines:
            path = ".".join((*keys, str(key.value)))
            raise _double_key(path, f"in line {lines[name]} and in line {line}", f"{where}:{line}")
        lines[name] = line


def _double_key(path: str, found: str, where: str) -> UnchokeError:
    return UnchokeError(
        f"A key of the config stands twice: {path}.",
        found=found,
        expected="every key once; of two values the first would be lost in silence",
        where=where,
        do="delete one of them, or give it another name",
    )


def _refuse_unlike_written(node: yaml.ScalarNode, keys: Keys, where: str) -> None:
    """UnchokeError for a number or date without quotes that YAML 1.1 reads as something else than what stands there."""
    if node.style or not node.tag.endswith((":int", ":float", ":timestamp")):
        return
    reason = next((reason for form, reason in _UNLIKE_WRITTEN if form.fullmatch(node.value)), "")
    if node.tag.endswith(":timestamp"):
        reason = "YAML reads a date"
    if reason:
        raise UnchokeError(
            f"A value of the config would be read as something else: {'.'.join(keys)}.",
            found=f"{node.value} ({reason})",
            expected="a number in decimal digits, or text in quotes",
            where=f"{where}:{node.start_mark.line + 1}",
            do=f'write "{node.value}" where you mean this text, else the number without leading zeros, ":" and "_"',
        )
