"""Where the images are and how they are split."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from unchoke.config.base import NAME, Section, listed_in, one_of
from unchoke.names import MASK_KINDS

KINDS = listed_in("sources")
Kind = Annotated[
    str, AfterValidator(lambda kind: one_of(KINDS, kind)), WithJsonSchema({"type": "string", "enum": KINDS})
]


HEX = r"^#[0-9a-fA-F]{6}$"


def _number(value: object) -> object:
    """A colour such as #ff0000 as the number 0xff0000, which masks in RGB are read as."""
    return int(value[1:], 16) if isinstance(value, str) and re.fullmatch(HEX, value) else value


MaskValue = Annotated[
    int,
    BeforeValidator(_number),
    Field(ge=0, lt=2**24),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": HEX}]}),
]
MaskValues = Annotated[
    list[MaskValue],
    BeforeValidator(lambda values: values if isinstance(values, list) else [values]),
    Field(min_length=1),
]


class Split(Section):
    """How train, val and test are drawn where the data does not give them."""

    seed: int = Field(0, ge=0)
    """Seed of the draw; rows keep their split when images are added."""

    val: float = Field(0.15, ge=0, lt=1)
    """Share of each class that goes to val, 0 to 1."""

    test: float = Field(0.15, ge=0, lt=1)
    """Share of each class that goes to test, 0 to 1."""

    group: str | None = None
    """What must stay together (patient, slide). csv: the column that holds it, `group` if null and there is one.
    folder: a regular expression searched in the path below the dataset's folder; its first group, or the whole
    match, is the group."""

    @model_validator(mode="after")
    def _leaves_rows_to_train(self) -> "Split":
        if self.val + self.test >= 1:
            raise ValueError(
                f"val {self.val} and test {self.test} leave nothing to train on: their sum must be below 1"
            )
        return self


class Dataset(Section):
    """Where the images are and how they are split."""

    name: str = Field(pattern=NAME)
    """Results go to `results/<name>/`. Letters, digits, `_`, `.`, `-`."""

    kind: Kind
    """`folder`: images by class, or by split and class. `csv`: a table with the columns path, label and, if you have
    them, split and group. `digits`: scikit-learn's handwritten digits, written to `path`. `masks`: a folder with
    `images/` and `masks/`, or a table with the columns path and mask. `canvases`: digits on cluttered canvases with
    their masks, written to `path`."""

    path: str = Field(min_length=1)
    """The folder, or the CSV file; relative to the folder that snakemake runs in."""

    split: Split = Split()
    """How train, val and test are drawn where the data does not give them."""

    max_bad_share: float = Field(0.05, ge=0, le=1)
    """Share of images that may be unreadable, 0 to 1; above it the run stops before any head is trained."""

    classes: dict[str, MaskValues] = Field(
        {"background": [0], "foreground": [1, 255]}, min_length=2, max_length=254, validate_default=True
    )
    """Masks: the classes of pixels in their order, each with the values that it has in the mask files: numbers (of a
    palette: its indices), or colours such as `"#ff0000"` where masks are in RGB; one, or a list."""

    ignore: MaskValue | None = None
    """Masks: the value of pixels that count neither in training nor in figures."""

    @property
    def has_masks(self) -> bool:
        """Whether pixels are to be told apart, not images."""
        return self.kind in MASK_KINDS

    @model_validator(mode="after")
    def _values_have_one_class(self) -> "Dataset":
        owner: dict[int, str] = {} if self.ignore is None else {self.ignore: "ignore"}
        for name, values in self.classes.items():
            for value in values:
                if owner.setdefault(value, name) != name:
                    raise ValueError(f"classes: the value {value} stands for {owner[value]} and for {name}")
        return self
