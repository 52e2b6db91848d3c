"""Pure: what the rules about features found, in sentences."""

from collections.abc import Iterator, Mapping
from typing import Any


def sentences(summary: Mapping[str, Any]) -> Iterator[str]:
    """A line for each rule that is on. summary: as ``inspect.inspect_features`` returns it."""
    for rule, splits in summary["findings"].items():
        dropped = summary["dropped"].get(rule, 0)
        text = f"{rule}: {sum(splits.values()):,} images ({dropped:,} dropped for this)"
        yield "; ".join([text, *_TOLD[rule](summary[rule])])


def _mislabelled(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"about {100 * facts['wrong_share']:.1f} % of {facts['images']:,} labels are wrong"
    if estimate := facts.get("estimate"):
        yield (
            f"of {estimate['flipped']:,} labels flipped on purpose the rule finds {100 * estimate['recall']:.0f} %, "
            f"and {100 * estimate['precision']:.0f} % of what it then finds anew were flipped"
        )


def _near(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"{facts['clusters']:,} clusters at cosine {facts['threshold']:.4f}"
    yield f"{facts['across']:,} of the images have their copy in another split"
    if proposal := facts.get("proposal"):
        yield (
            f"a threshold of {proposal['threshold']:.4f}, proposed from {proposal['basis']}, finds "
            f"{100 * proposal['same_found']:.0f} % of these and {100 * proposal['others_found']:.1f} % of nearest "
            "different images"
        )


_TOLD = {"near_in_features": _near, "mislabelled": _mislabelled}
