"""Pure: whether a chosen setting lies at an end of its grid of values, so that a better one may lie beyond."""

from collections.abc import Sequence
from typing import Any

_FEWEST = 3  # values: one of two always lies at an end
_LEAST = {"k": 1, "weight_decay": 0}  # below these no setting exists


def grid_edges(chosen: dict[str, Any], history: dict[str, list[Any]]) -> list[str]:
    """Names of the chosen settings that are the smallest or largest of three numbers tried, or of more.

    history: what was tried, by the name of a setting. A value below which none exists (k 1, weight decay 0) is no edge.
    """
    return [name for name, value in chosen.items() if _is_edge(name, value, history.get(name, []))]


def _is_edge(name: str, value: Any, tried: Sequence[Any]) -> bool:
    numbers = sorted({one for one in tried if isinstance(one, int | float)})
    if len(numbers) < _FEWEST:
        return False
    return bool(value == numbers[-1] or (value == numbers[0] and value != _LEAST.get(name)))


def choice_text(chosen: dict[str, Any], edges: Sequence[str]) -> str:
    """``penalty 0.01 (edge of grid)``: the chosen settings, of which `edges` names those at an end of their grid."""
    return ", ".join(
        f"{name} {_number(value)}{' (edge of grid)' if name in edges else ''}" for name, value in chosen.items()
    )


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
