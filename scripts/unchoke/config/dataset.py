"""Where the images are and how they are split."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from unchoke.config.base import NAME, Section, listed_in, one_of

KINDS = listed_in("sources")
Kind = Annotated[
    str, AfterValidator(lambda kind: one_of(KINDS, kind)), WithJsonSchema({"type": "string", "enum": KINDS})
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
    them, split and group. `digits`: scikit-learn's handwritten digits, written to `path`."""

    path: str = Field(min_length=1)
    """The folder, or the CSV file; relative to the folder that snakemake runs in."""

    split: Split = Split()
    """How train, val and test are drawn where the data does not give them."""

    max_bad_share: float = Field(0.05, ge=0, le=1)
    """Share of images that may be unreadable, 0 to 1; above it the run stops before any head is trained."""
