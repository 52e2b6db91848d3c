"""A config as plain data, every default filled in; and what is wrong with one, with its line in its file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from unchoke.config.model import Config
from unchoke.config.text import Keys, check_arguments, check_files, places
from unchoke.errors import UnchokeError
from unchoke.names import suggestion


def load_config(raw: dict[str, Any], files: Sequence[Path] = (), arguments: Sequence[str] = ()) -> dict[str, Any]:
    """`raw` with every default filled in, as plain data.

    files, arguments: the config files and the command line that `raw` was read from.
    Raises UnchokeError that lists all that is wrong with it, with its line where a file has it.
    """
    check_files(files)
    check_arguments(arguments)
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        known = places(files)
        raise _not_valid([_readable(problem, known) for problem in error.errors()]) from None
    valid = config.model_dump()
    if truths := list(_truths_for_others(raw, valid)):
        known = places(files)
        raise _not_valid([_placed(keys, f"expected a number or text, found {value}", known) for keys, value in truths])
    for trained in (*valid["heads"].values(), *valid["networks"].values()):
        trained["choose_by"] = trained["choose_by"] or valid["evaluation"]["metric"]
        if (positive := valid["evaluation"]["positive"]) and trained["choose_by"] == "average_precision":
            trained["positive"] = positive  # which no other choice depends on
    for name, network in config.networks.items():
        valid["networks"][name]["start"] = config.start_of(network)
    return valid


def _not_valid(problems: list[str]) -> UnchokeError:
    return UnchokeError(
        "The config does not hold.\n" + "\n".join(f"  - {problem}" for problem in problems),
        do="every key, unit and default stands in config/README.md",
    )


def _truths_for_others(raw: Any, valid: Any, keys: Keys = ()) -> Iterator[tuple[Keys, bool]]:
    """True and false in the place of another value: Python takes them for 1 and 0."""
    if isinstance(raw, bool) and not isinstance(valid, bool):
        yield keys, raw
    elif isinstance(raw, dict) and isinstance(valid, dict):
        for name in raw.keys() & valid.keys():
            yield from _truths_for_others(raw[name], valid[name], (*keys, str(name)))
    elif isinstance(raw, list) and isinstance(valid, list):
        for place, (value, other) in enumerate(zip(raw, valid, strict=False)):
            yield from _truths_for_others(value, other, (*keys, str(place)))


def _placed(keys: Sequence[str], message: str, known: dict[Keys, str]) -> str:
    """A line of the message: which key, what is wrong, and in which line of which file."""
    where = ".".join(keys)
    place = known.get(tuple(keys)) if keys else _place_of_named(message, known)
    text = f"{where}: {message}" if where else message
    return f"{text} ({place})" if place else text


def _place_of_named(message: str, known: dict[Keys, str]) -> str | None:
    """The place of the key that a message on several keys begins with, or of the nearest section around it."""
    keys = tuple(message.partition(": ")[0].split("."))
    return next((known[keys[:end]] for end in range(len(keys), -1, -1) if keys[:end] in known), None)


def _readable(problem: Any, known: dict[Keys, str]) -> str:
    """One line: where, what was expected and found, and the nearest right name for a kind that does not exist."""
    place = list(problem["loc"])
    if place and place[0] in ("heads", "mask_heads"):
        del place[2:3]  # pydantic's own mark of the kind, which no file contains
    keys = [str(part) for part in place if part != "[key]"]
    context = problem.get("ctx", {})
    if problem["type"] == "value_error":
        message = str(context["error"])
    elif problem["type"] == "union_tag_invalid":
        kinds = context["expected_tags"].replace("'", "").split(", ")
        message = f"unknown kind '{context['tag']}': {suggestion(context['tag'], kinds)}"
    elif problem["type"] == "union_tag_not_found":
        message = "the key 'kind' is missing"
    elif problem["type"] == "missing":
        message = f"the key '{keys.pop()}' is missing"
    else:
        message = f"{problem['msg'][0].lower()}{problem['msg'][1:]}, found {problem['input']!r}"
    return _placed(keys, message, known)
