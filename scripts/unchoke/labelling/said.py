"""Pure: how images to label were chosen, in a sentence."""

from collections.abc import Mapping
from typing import Any


def listed(summary: Mapping[str, Any]) -> str:
    """summary: as ``choose.list_to_label`` returns it."""
    settings, count = summary["settings"], summary["listed"]
    of = " or ".join(settings["splits"])
    text = f"{count:,} of {summary['candidates']:,} images ({of}) to label: {_HOW[settings['how']].format(**settings)}"
    if summary["covered"] and settings["how"] != "uncertain":
        text += f", beside {summary['covered']:,} images of train"
    if "radius" in summary:
        text += f"; every other image lies within {summary['radius']:.4f} of one of them (one less the cosine)"
    if count < settings["n"]:
        text += f"; {settings['n']:,} were asked for, but by their features all others are copies"
    return text


_HOW = {
    "diverse": "each the farthest from those before it by the features of {encoder}",
    "typical": "the most typical by {k} nearest neighbours in the features of {encoder}",
    "uncertain": "those of the smallest margin of {head} on {encoder}",
}
