"""Pure: what the rules about features found, in sentences."""

from collections.abc import Iterator, Mapping
from typing import Any

from unchoke.names import UNLABELLED

LEVEL = 0.01
"""Of the tests of val and test together."""
_WITHOUT_LABEL = "the part without a label"


def sentences(summary: Mapping[str, Any]) -> Iterator[str]:
    """A line for each rule that is on. summary: as ``inspect.inspect_features`` returns it."""
    for rule, splits in summary["findings"].items():
        dropped = summary["dropped"].get(rule, 0)
        text = f"{rule}: {sum(splits.values()):,} images ({dropped:,} dropped for this)"
        yield "; ".join([text, *_TOLD[rule](summary[rule])])
    yield from shift_sentences(summary["shift"])


def shift_sentences(shift: Mapping[str, Any] | None) -> Iterator[str]:
    """Whether val, test and what has no label look like train, a sentence each.

    shift: the summary's part of this name.
    """
    for name, facts in (shift or {"splits": {}})["splits"].items():
        name = _WITHOUT_LABEL if name == UNLABELLED else name
        far = f"{100 * facts['far']:.0f} % of its images lie farther from train than 95 % of those of train"
        test = facts["test"]
        if test is None:
            yield f"{name}: {far}; too few images of different groups for a test"
            continue
        right = f"a classifier tells it from train in {100 * test['accuracy']:.0f} % of {test['images']:,} images"
        looks = "does not look like train" if is_shifted(facts) else "is not told apart from train"
        yield f"{name} {looks}: {right} (p = {test['p_value']:.2g}); {far}"


def shifted_splits(shift: Mapping[str, Any] | None) -> list[str]:
    """The sentences of those splits that do not look like train, for a verdict."""
    splits = (shift or {"splits": {}})["splits"]
    told = {name: {"splits": {name: facts}} for name, facts in splits.items() if is_shifted(facts)}
    return [f"{sentence[0].upper()}{sentence[1:]}." for one in told.values() for sentence in shift_sentences(one)]


def is_shifted(facts: Mapping[str, Any]) -> bool:
    """Whether a split is told apart from train, at LEVEL over val and test together (Bonferroni)."""
    return facts["test"] is not None and facts["test"]["p_value"] < LEVEL / 2


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
