"""Where the images are and how they are split."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from unchoke.config.base import MAX_SEED, MAX_SIDE, NAME, NAME_LENGTH, Section, listed_in, one_of, without_braces
from unchoke.names import CLASSIFICATION, MASK_KINDS, TEXT_CLASSES, TEXT_KINDS
from unchoke.sources.locations import ARRAY_KINDS, ROLES, by_split, known_split

KINDS = listed_in("sources/kinds")
TARGET_KINDS = ("csv", *ARRAY_KINDS)
"""Kinds whose labels may be numbers, or several an image."""
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
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 2**24 - 1}, {"type": "string", "pattern": HEX}]}
    ),
]
MaskValues = Annotated[
    list[MaskValue],
    BeforeValidator(lambda values: values if isinstance(values, list) else [values]),
    Field(min_length=1),
]


_PCAM = "camelyonpatch_level_2_split_{}_{}"
_PCAM_SPLITS = {"train": "train", "val": "valid", "test": "test"}
PRESETS = {
    "pcam": {
        "images": {split: _PCAM.format(name, "x.h5:x") for split, name in _PCAM_SPLITS.items()},
        "labels": {split: _PCAM.format(name, "y.h5:y") for split, name in _PCAM_SPLITS.items()},
        "groups": {split: _PCAM.format(name, "meta.csv:wsi") for split, name in _PCAM_SPLITS.items()},
    }
}
"""Locations in known datasets. pcam: the files of PatchCamelyon as its authors published them, unpacked: Veeling,
Linmans, Winkens, Cohen and Welling, Rotation Equivariant CNNs for Digital Pathology, MICCAI 2018;
https://github.com/basveeling/pcam."""


def _known_locations(value: object) -> object:
    """One location, or one a split under the split's own name; ValueError where it is neither."""
    if value is None or isinstance(value, str):
        return None if value is None else _below_the_path(value)
    if not isinstance(value, dict) or not value:
        raise ValueError(f"expected a location such as 'file.h5:key', or one a split, found {value!r}")
    known: dict[str, str] = {}
    for name, location in value.items():
        split = known_split(str(name))
        if split in known or location in known.values():
            raise ValueError(f"{name}: {location}: there is a location for {split} already, or this one stands twice")
        known[split] = _below_the_path(location)
    return known


def _below_the_path(location: object) -> str:
    parts = location.partition(":")[0].split("/") if isinstance(location, str) else []
    if not isinstance(location, str) or not parts[0] or ".." in parts:
        raise ValueError(f"{location!r} is no location below path, as 'file.h5:key', 'file.npy' or 'table.csv:column'")
    return location


Locations = Annotated[str | dict[str, str] | None, BeforeValidator(_known_locations)]


class Split(Section):
    """How train, val and test are drawn where the data does not give them."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of the draw; rows keep their split when images are added."""

    val: float = Field(0.15, ge=0, lt=1)
    """Share of each class that goes to val, 0 to 1."""

    test: float = Field(0.15, ge=0, lt=1)
    """Share of each class that goes to test, 0 to 1."""

    repeats: int = Field(1, ge=1, le=100)
    """Images: random splits over which every head is trained and tested anew, without new features. Above 1 the
    leaderboard also has the mean over the splits, its deviation, and an interval that is corrected for their overlap.
    Each repeat draws test anew, so test may not be given by the data."""

    group: str | None = None
    """What must stay together (patient, slide). csv: the column that holds it, `group` if null and there is one.
    folder: a regular expression searched in the path below the dataset's folder; its first group, or the whole
    match, is the group. webdataset: the same, searched in `shard.tar/member`. hdf5, npy, zarr: see `dataset.groups`."""

    @model_validator(mode="after")
    def _leaves_rows_to_train(self) -> "Split":
        if self.val + self.test >= 1:
            raise ValueError(
                f"val {self.val} and test {self.test} leave nothing to train on: their sum must be below 1"
            )
        return self


def _says(locations: dict[str, str]) -> str:
    return "has one location for all rows" if "" in locations else f"has the splits {', '.join(locations)}"


class Dataset(Section):
    """Where the images are and how they are split."""

    name: str = Field(pattern=NAME, max_length=NAME_LENGTH)
    """Results go to `results/<name>/`. At most 100 letters, digits, `_`, `.`, `-`."""

    kind: Kind
    """`folder`: images by class, or by split and class; those in a folder `unlabelled` have no label. `csv`: a table
    with the columns path, label (empty where there is none) and, if you have them, split and group. `digits`:
    scikit-learn's handwritten digits, written to `path`. `masks`: a folder with `images/` and `masks/`, or a table with
    the columns path and mask. `canvases`: digits on cluttered canvases with their masks, written to `path`. `text`:
    words as polygons, for finding them: a folder with `images/` and `gt/` (a text file each, as ICDAR has them), a JSON
    as MMOCR has it, or a table with the columns path and polygon. `words`: words on cluttered canvases, written to
    `path`. `hdf5`, `npy`, `zarr`: rows of the arrays named in `images` and `labels`. `webdataset`: a folder with tar
    shards."""

    path: str = Field(min_length=1)
    """The folder, or the CSV file; relative to the folder that snakemake runs in. hdf5, npy, zarr: the folder that the
    files of `images`, `labels` and `groups` are below."""

    preset: Literal["pcam"] | None = None
    """hdf5: the layout of a known dataset, which gives `images`, `labels` and `groups` where you do not. `pcam`:
    PatchCamelyon's own files, unpacked (github.com/basveeling/pcam)."""

    images: Locations = None
    """hdf5, npy, zarr: where the images are, one a row: uint8, (rows, height, width, 3), or grey without the 3 or with
    a 1. A location is a file below `path` and a key in it: `data.h5:x`, `data.zarr:x`; an .npy file has no key:
    `x.npy`. Or one location a split: `{train: train.h5:x, test: test.h5:x}`."""

    labels: Locations = None
    """hdf5, npy, zarr: where the classes are, one a row: integers or text; NaN, or an empty text, for a row without a
    label. Also an .npy file, or a column of a CSV: `meta.csv:label`. As many locations as `images` has."""

    groups: Locations = None
    """hdf5, npy, zarr: what must stay together (patient, slide), as for `labels`: `meta.csv:slide`. null: nothing."""

    split: Split = Split()
    """How train, val and test are drawn where the data does not give them."""

    target: Literal["classification", "regression", "multilabel"] = "classification"
    """csv, hdf5, npy, zarr: what heads predict of an image. `classification`: one class. `regression`: a number, which
    the column `label` or the array `labels` holds. `multilabel`: any number of labels: a cell has `;` or `|` between
    them, and one of these alone where none applies; an array is (rows, labels) of 0 and 1. See docs/targets.md."""

    max_bad_share: float = Field(0.05, ge=0, le=1)
    """Share of images that may be unreadable, 0 to 1; above it the run stops before any head is trained."""

    vanished: Literal["keep", "forget"] = "keep"
    """What becomes of images that are gone from `path`. `keep`: they keep id, label and split, and have them again when
    the same bytes come back. `forget`: they lose label and split for good; what comes back is a new image."""

    classes: dict[str, MaskValues] = Field(
        {"background": [0], "foreground": [1, 255]}, min_length=2, max_length=254, validate_default=True
    )
    """Masks: the classes of pixels in their order, each with the values that it has in the mask files: numbers (of a
    palette: its indices), or colours such as `"#ff0000"` where masks are in RGB; one, or a list."""

    ignore: MaskValue | None = None
    """Masks: the value of pixels that count neither in training nor in figures."""

    smallest_word: float = Field(8, ge=0, le=MAX_SIDE)
    """Text: words whose shorter side is below this are neither text nor background in training, px. Figures count them
    as all others."""

    @property
    def has_masks(self) -> bool:
        """Whether pixels are to be told apart, not images."""
        return self.kind in MASK_KINDS

    @model_validator(mode="before")
    @classmethod
    def _take_from_the_preset(cls, raw: Any) -> Any:
        preset = raw.get("preset") if isinstance(raw, dict) else None
        if not isinstance(preset, str) or preset not in PRESETS:
            return raw
        return {**PRESETS[preset], **{key: value for key, value in raw.items() if value is not None or key == "groups"}}

    @model_validator(mode="before")
    @classmethod
    def _words_have_classes_of_their_own(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or raw.get("kind") not in TEXT_KINDS:
            return raw
        given = raw.get("classes", TEXT_CLASSES)
        if given not in (TEXT_CLASSES, {"background": 0, "text": 1}) or raw.get("ignore") is not None:
            raise ValueError(
                f"classes and ignore are values in mask files, and the kind {raw['kind']} has none: leave them out"
            )
        return {**raw, "classes": TEXT_CLASSES}

    @model_validator(mode="after")
    def _a_rule_can_write_to_the_path(self) -> "Dataset":
        if self.kind in ("digits", "canvases", "words"):
            without_braces(self.path)
        return self

    @model_validator(mode="after")
    def _arrays_have_locations(self) -> "Dataset":
        if self.preset and self.kind != "hdf5":
            raise ValueError(f"preset: {self.preset} is a dataset of kind hdf5, not {self.kind}")
        given = {role: by_split(getattr(self, role)) for role in ROLES}
        if self.kind not in ARRAY_KINDS:
            if unfit := [role for role in ROLES if given[role]]:
                raise ValueError(f"{unfit[0]}: is for the kinds {', '.join(ARRAY_KINDS)}, not for {self.kind}")
            return self
        if missing := [role for role in ("images", "labels") if not given[role]]:
            raise ValueError(f"{missing[0]}: the kind {self.kind} needs a location, 'file.h5:key' for instance")
        if self.split.group is not None:
            raise ValueError(f"split.group: the kind {self.kind} takes its groups from dataset.groups")
        for role in ROLES:
            if given[role] and set(given[role]) != set(given["images"]):
                raise ValueError(f"{role}: {_says(given[role])}, but images {_says(given['images'])}")
        return self

    @model_validator(mode="after")
    def _targets_are_in_tables_and_arrays(self) -> "Dataset":
        if self.target != CLASSIFICATION and self.kind not in TARGET_KINDS:
            raise ValueError(
                f"target: {self.target} is for the kinds {', '.join(TARGET_KINDS)}, where labels may be numbers or "
                f"several, not for {self.kind}"
            )
        return self

    @model_validator(mode="after")
    def _values_have_one_class(self) -> "Dataset":
        owner: dict[int, str] = {} if self.ignore is None else {self.ignore: "ignore"}
        for name, values in self.classes.items():
            for value in values:
                if owner.setdefault(value, name) != name:
                    raise ValueError(f"classes: the value {value} stands for {owner[value]} and for {name}")
        return self
