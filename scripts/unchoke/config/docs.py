"""The files that are written from the config's model: schema, defaults, table of keys."""

import json
import types
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from unchoke.config.model import Config

SCHEMA = "workflow/schemas/config.schema.json"
DEFAULTS = "config/config.yaml"
TABLE = "config/README.md"


def config_schema() -> str:
    """JSON schema of a config file; editors complete and check from it."""
    return json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def config_defaults() -> str:
    """The default run as YAML, each section under its description."""
    lines = [
        "# yaml-language-server: $schema=../workflow/schemas/config.schema.json",
        "# The default run; written by `make docs` from scripts/unchoke/config/. For a run of your own, copy one of",
        "# config/examples/ and pass it with --configfile: sections that it leaves out are those of this file.",
    ]
    for name, value in Config().model_dump().items():
        lines += ["", f"# {_one_line(Config.model_fields[name])}"]
        style = None if isinstance(value, dict) else False
        lines += [yaml.safe_dump({name: value}, sort_keys=False, default_flow_style=style, width=120).rstrip()]
    return "\n".join(lines) + "\n"


def config_table() -> str:
    """Markdown: one table a section with key, type, default and meaning."""
    parts = [
        "# Every key of the config",
        "",
        "Written by `make docs` from `scripts/unchoke/config/`. A key that is not here stops the run before any job.",
        "Sections that your file leaves out are those of [config.yaml](config.yaml); keys that it leaves out take the",
        "default below. Examples: [a folder by class](examples/folder.yaml), [a CSV](examples/csv.yaml).",
    ]
    parts += _section_table("The file", "", Config)
    for title, prefix, model in _sections(Config, ""):
        parts += _section_table(title, prefix, model)
    return "\n".join(parts) + "\n"


def _sections(model: type[BaseModel], prefix: str) -> list[tuple[str, str, type[BaseModel]]]:
    """Every model below `model` with the prefix of its keys, in order."""
    found = []
    for name, field in model.model_fields.items():
        for inner, step in _models_in(field.annotation):
            path = f"{prefix}{name}.{step}"
            found += [(inner.__doc__ or name, path, inner), *_sections(inner, path)]
    return found


def _models_in(annotation: Any) -> list[tuple[type[BaseModel], str]]:
    """The models that an annotation holds, each with what stands between the key and the model's own keys."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, "")]
    step = "NAME." if get_origin(annotation) is dict else ""
    return [(model, step + inner) for part in get_args(annotation) for model, inner in _models_in(part)]


def _section_table(title: str, prefix: str, model: type[BaseModel]) -> list[str]:
    rows = [
        f"| `{prefix}{name}` | {_type_name(field)} | {_default(field)} | {_one_line(field)} |"
        for name, field in model.model_fields.items()
    ]
    heading = title.strip().splitlines()[0].rstrip(".")
    return ["", f"## {heading}", "", "| key | type | default | meaning |", "|---|---|---|---|", *rows]


def _one_line(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


def _type_name(field: FieldInfo) -> str:
    return _annotation_name(field.annotation)


def _annotation_name(annotation: Any) -> str:
    if annotation is type(None):
        return "null"
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_annotation_name(part) for part in get_args(annotation))
    if get_origin(annotation) is list:
        return f"list of {_annotation_name(get_args(annotation)[0])}"
    if get_origin(annotation) is dict:
        return "section by name"
    if get_origin(annotation) is not None and hasattr(annotation, "__metadata__"):
        return _annotation_name(get_args(annotation)[0])
    if get_args(annotation):
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    names: dict[Any, str] = {int: "integer", float: "number", str: "text", bool: "true or false"}
    return names[annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if isinstance(field.default, BaseModel | dict):
        return "see below" if isinstance(field.default, BaseModel) else "see config.yaml"
    return f"`{json.dumps(field.default)}`"
