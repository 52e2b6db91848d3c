"""How many images of which class and split a source has: what the manifest will say, without writing it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unchoke.manifest.checks import check_classes, check_splits
from unchoke.manifest.classes import class_warnings, counts_of
from unchoke.manifest.images import SplitSettings, in_use, list_manifest
from unchoke.manifest.moves import VANISHED
from unchoke.names import MASK_KINDS, NO_LABEL, SPLITS
from unchoke.sources.locations import fields_of


@dataclass(frozen=True)
class Census:
    """What a manifest would hold."""

    paths: list[str]
    classes: dict[str, int]
    """Images of each class, by name; none for images with masks."""
    warnings: list[str]
    """Sentences on classes that look like a mistake."""
    splits: dict[str, int]
    given: list[str]
    """Splits that the data names itself."""
    unlabelled: int
    """Images without a class, a mask, or words on record."""
    left_out: dict[str, int]
    """Files that are no images, by the endings of their names."""


def take_census(dataset: dict[str, Any], manifest: Path) -> Census:
    """Count the images of a config's section ``dataset``; UnchokeError where a run of it would be refused.

    manifest: of the run, which goes on from it if it is there.
    """
    kind, path, split = dataset["kind"], Path(dataset["path"]), dataset["split"]
    settings = SplitSettings(split["seed"], split["val"], split["test"])
    listed = list_manifest(kind, path, split["group"], settings, manifest, fields_of(dataset))
    frame, facts = listed.frame, listed.record
    if kind not in MASK_KINDS:
        check_classes(frame, str(path))
    check_splits(frame, str(path))
    used, counts = in_use(frame), {} if kind in MASK_KINDS else counts_of(frame)
    return Census(
        frame.loc[frame["excluded"] != VANISHED, "path"].tolist(),
        {label: sum(by_split.values()) for label, by_split in counts.items()},
        class_warnings(counts),
        {split: int((used["split"] == split).sum()) for split in SPLITS},
        facts["split_settings"]["given"],
        int((frame["excluded"] == NO_LABEL).sum()),
        facts["left_out_files"],
    )
