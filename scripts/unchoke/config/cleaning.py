"""Which images are looked at twice before heads are trained, and which of them go."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from unchoke.config.base import MAX_MEMORY_MB, MAX_SIDE, Section
from unchoke.config.inspection import Action, Features


def _even(radius: int) -> int:
    """The radius; ValueError where it is odd, since two hashes with equally many bits set differ in an even number."""
    if radius % 2:
        why = f"{radius} is odd, but hashes have 32 of 64 bits set, so distances are even"
        raise ValueError(f"{why}: write {radius - 1} or {radius + 1}")
    return radius


class Unreadable(Section):
    """Images that cannot be read. They take part in no other rule."""

    action: Action = "drop"
    """`report`: list them. `drop`: list them, and leave them out of all that follows; nothing is deleted. In test too
    they go, since they have no features; their number is printed."""


class ExactDuplicate(Section):
    """Copies with the same pixels, whatever the encoding of their files."""

    action: Action = "drop"
    """`drop` keeps one copy: of test before val before train, then the one listed first. Copies in test always stay."""


class NearDuplicate(Section):
    """Images with nearly the same perceptual hash: encoded again, resized, cropped or brightened a little."""

    action: Action = "report"
    """`drop` keeps one image of a cluster, chosen as among exact duplicates. Images in test always stay."""

    radius: Annotated[int, AfterValidator(_even)] = Field(4, ge=0, le=6, json_schema_extra={"multipleOf": 2})
    """Bits of 64 in which the hashes of two neighbours in a cluster may differ: 0, 2, 4 or 6. Half of the bits of a
    hash are set, so that distances are even, and 3 would be 2."""

    turned: bool = False
    """Whether flipped copies, and those turned by quarters, are near copies as well."""


class LabelConflict(Section):
    """Copies whose labels differ."""

    action: Action = "report"
    """`drop` leaves out every copy, since no label can be trusted. Copies in test always stay."""

    near: bool = False
    """Whether near duplicates are compared as well; needs the rule `near_duplicate`."""


class Leak(Section):
    """Copies that are in several splits."""

    action: Action = "drop"
    """`drop` leaves out copies in train of what is in val or test, and copies in val of what is in test."""

    near: bool = False
    """Whether near duplicates leak as well; needs the rule `near_duplicate`."""


class OneImage(Section):
    """What rules about single images share."""

    action: Action = "report"
    """`drop` leaves them out of train and val; those in test stay, unless `drop_in_test`."""

    drop_in_test: bool = False
    """Whether `drop` holds for test as well. Figures are then of another test set than the one you were given."""


class Dark(OneImage):
    """Images that are nearly black."""

    mean_below: float = Field(5, ge=0, le=255)
    """Mean grey value, 0 to 255, below which an image is dark."""


class Bright(OneImage):
    """Images that are nearly white."""

    mean_above: float = Field(250, ge=0, le=255)
    """Mean grey value, 0 to 255, above which an image is bright."""


class Blank(OneImage):
    """Images that show next to nothing."""

    action: Action = "drop"
    """`drop` leaves them out of train and val; those in test stay, unless `drop_in_test`."""

    deviation_below: float = Field(2, ge=0, le=128)
    """Standard deviation of the grey values, of 255, below which an image is blank."""


class Blurred(OneImage):
    """Images without sharp edges."""

    sharpness_below: float = Field(100, ge=0)
    """Variance of the Laplacian, in squared grey values, below which an image is blurred. It depends on the subject:
    choose it from the report's histogram."""


class OddSize(OneImage):
    """Images much smaller, longer or larger than the others."""

    side_below: int = Field(8, ge=0, le=MAX_SIDE)
    """Shorter side, px, below which a size is odd."""

    aspect_above: float = Field(5, ge=1)
    """Longer side over shorter side above which a size is odd."""

    area_factor: float = Field(10, ge=1)
    """How many times larger or smaller than the median area, width × height, an area may be."""


class Rules(Section):
    """What is looked for, in this order; null turns a rule off. The first rule that drops an image is its reason."""

    unreadable: Unreadable | None = Unreadable()
    """Images that cannot be read."""

    exact_duplicate: ExactDuplicate | None = ExactDuplicate()
    """Copies with the same pixels."""

    near_duplicate: NearDuplicate | None = NearDuplicate()
    """Images that look the same."""

    label_conflict: LabelConflict | None = LabelConflict()
    """Copies with different labels."""

    leak: Leak | None = Leak()
    """Copies in several splits."""

    dark: Dark | None = Dark()
    """Images that are nearly black."""

    bright: Bright | None = Bright()
    """Images that are nearly white."""

    blank: Blank | None = Blank()
    """Images that show next to nothing."""

    blurred: Blurred | None = None
    """Images without sharp edges; `{}` turns it on."""

    odd_size: OddSize | None = OddSize()
    """Images of an unusual size."""

    @model_validator(mode="after")
    def _near_copies_are_looked_for_where_a_rule_asks(self) -> "Rules":
        for name, rule in (("label_conflict", self.label_conflict), ("leak", self.leak)):
            if rule and rule.near and not self.near_duplicate:
                raise ValueError(
                    f"{name}.near: true needs the rule near_duplicate, which is null: "
                    "turn it on with near_duplicate: {action: report}"
                )
        return self


class Cleaning(Section):
    """Which images are looked at twice before heads are trained, and which of them go."""

    memory_mb: int = Field(1024, ge=256, le=MAX_MEMORY_MB)
    """Resident memory that a job of cleaning may take, MB; images are fingerprinted in batches that fit."""

    chunks_per_job: int | None = Field(None, ge=1, le=1_000_000)
    """Chunks of images that one job fingerprints; null: 16 of image files, 512 of arrays."""

    rules: Rules = Rules()
    """What is looked for, and what is done about it."""

    features: Features | None = None
    """Rules that look at cached features, when these are there; null: none."""

    decisions: str | None = Field(None, min_length=1)
    """A CSV of yours with the columns path, decision (`keep`, `drop`, `relabel`), label and note; null: none. Its path
    is relative to the folder that snakemake runs in. It overrules the rules, and is never written."""


def deciding(rules: dict[str, dict[str, Any] | None]) -> dict[str, dict[str, Any]]:
    """Those of `rules` that heads depend on: the rules that drop, and the one that says which images are near copies.

    rules: as the config dumps them. An image is dropped by these exactly where all of them would drop it.
    """
    return {
        name: rule for name, rule in rules.items() if rule and (rule["action"] == "drop" or name == "near_duplicate")
    }


def all_rules(cleaning: dict[str, Any]) -> dict[str, dict[str, Any] | None]:
    """Rules about pixels and about features by name, None where off. cleaning: as the config dumps the section."""
    of_features: dict[str, Any] = (cleaning["features"] or {"rules": {}})["rules"]
    return {**cleaning["rules"], **of_features}


def features_drop(cleaning: dict[str, Any] | None) -> bool:
    """Whether heads depend on a rule about features."""
    rules = all_rules({**cleaning, "rules": {}}) if cleaning else {}
    return any(rule and rule["action"] == "drop" for rule in rules.values())
