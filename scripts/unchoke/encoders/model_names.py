"""Names of timm's models, read from its source: the Snakefile asks for them, and importing timm takes seconds.

``tests/unchoke/encoders/test_model_names.py`` compares them with timm's own list.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.names import suggestion

ELSEWHERE = ("hf-hub:", "hf_hub:", "local-dir:")
"""How names begin of models that timm does not list."""
_MODEL = re.compile(r"@register_model\s+def (\w+)\(")
_RENAMED, _END = "\nregister_model_deprecations(", "\n})"
_OLD_NAME = re.compile(r"""['"](\w+)['"]\s*:""")


def check_name(model: str) -> None:
    """UnchokeError with the nearest name where timm has no such model, or no weights of that tag.

    Nothing is checked where timm is not installed. Few tags are not in the source as they are; timm itself is asked
    for them, in a process of its own.
    """
    names, base = model_names(), model.partition(".")[0]
    if not names or model.startswith(ELSEWHERE):
        return
    if base not in names:
        raise no_such_model(model, sorted(names - _old_names()))
    if model != base and not any(f"{quote}{model}{quote}" in text for text in _sources() for quote in "'\""):
        _ask_timm(model)


def no_such_model(model: str, known: Iterable[str]) -> UnchokeError:
    """The error for a name that timm does not know; known: the names to suggest, those of its tags where it has one."""
    known = list(known)
    base = model.partition(".")[0]
    return UnchokeError(
        "timm has no such model.",
        found=f"'{model}' (timm {version('timm')})",
        do=suggestion(model, known) if known else f"'{base}' has no pretrained weights; leave the tag out",
    )


@cache
def model_names() -> frozenset[str]:
    """Names without tags, former ones among them; empty where timm is not installed."""
    return frozenset(name for text in _sources() for name in _MODEL.findall(text)) | _old_names()


@cache
def _old_names() -> frozenset[str]:
    blocks = (block for text in _sources() for block in text.split(_RENAMED)[1:])
    return frozenset(name for block in blocks for name in _OLD_NAME.findall(block.partition(_END)[0]))


@cache
def _sources() -> tuple[str, ...]:
    """The text of all modules that hold models."""
    spec = find_spec("timm")  # which does not import it
    if spec is None or spec.origin is None:
        return ()
    return tuple(file.read_text("utf-8") for file in (Path(spec.origin).parent / "models").glob("*.py"))


def _ask_timm(model: str) -> None:
    """UnchokeError with timm's own answer where it does not know a name."""
    code = "import sys; from unchoke.encoders.weights import refuse_unknown_model as ask; ask(sys.argv[1])"
    asked = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=False)
    _, known, said = asked.stderr.partition("UnchokeError: ")
    if known:
        raise UnchokeError(said.strip())
