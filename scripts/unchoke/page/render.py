"""Templates filled with what a run found, and the scripts that stand inside pages."""

import functools
from importlib.resources import files as package_files
from typing import Any

from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined

from unchoke.page.text import drawable
from unchoke.report.pages import cell_text


def rendered(template: str, content: dict[str, Any]) -> bytes:
    """The HTML of a template. Everything from the run is escaped: names of classes and files hold what they like."""
    return drawable(_environment().get_template(template).render(content)).encode()


def _environment() -> Environment:
    loader = PackageLoader("unchoke.page")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.policies["json.dumps_kwargs"] = {}  # sorted keys would put references of a plot before what they name
    made.filters["number"] = lambda value: f"{value:,}"
    made.filters["cell"] = cell_text
    return made


def asset(name: str) -> str:
    """A style sheet or script of ours."""
    return (package_files("unchoke.page") / "templates" / name).read_text("utf-8")


@functools.cache
def bokeh_script() -> str:
    """The library's script, without the parts that only widgets and tables need."""
    return "\n".join(Resources(mode="inline", components=["bokeh"], log_level="error").js_raw)
