"""Pure: what a manifest must hold before anything is made from it: whole groups, two classes, images in every split."""

import math

import pandas as pd

from unchoke.cells import NO_NUMBER, labels_in, number_in
from unchoke.errors import UnchokeError
from unchoke.names import CLASSIFICATION, MULTILABEL, NO_LABEL, SPLITS

_MANY = 20  # different numbers, from which on they are hardly classes


def check_groups(group: pd.Series, split: pd.Series) -> None:
    """UnchokeError where a group stands in two splits."""
    named = pd.DataFrame({"group": group, "split": split})[(group != "") & (split != "")]
    splits = named.groupby("group")["split"].unique()
    if len(torn := splits[splits.str.len() > 1]):
        raise UnchokeError(
            "A group stands in two splits.",
            found=f"{torn.index[0]!r} in {' and '.join(sorted(torn.iloc[0]))}"
            + (f", and {len(torn) - 1} more groups" if len(torn) > 1 else ""),
            expected="all images of one group (patient, slide) in one split, or test figures are too good",
            do="correct the splits, or leave them empty to have them drawn by whole groups",
        )


def check_labels(frame: pd.DataFrame, where: str, task: str = CLASSIFICATION) -> None:
    """UnchokeError where the labels in use leave nothing to learn. task: what heads predict."""
    if task == CLASSIFICATION:
        return check_classes(frame, where)
    rows = frame[frame["excluded"] == ""]
    labels = rows.loc[rows["split"] == "train", "label"]
    if task == MULTILABEL and not any(map(labels_in, labels)) and len(labels):
        raise UnchokeError(
            "No image of train has a label.",
            found=f"{len(labels)} images of train",
            expected="labels, separated by ; or |, in the cells of some",
            where=where,
            do="check the labels, or dataset.split",
        )
    return None


def check_classes(frame: pd.DataFrame, where: str) -> None:
    """UnchokeError where there is one class alone, a class that train lacks, or numbers in the place of classes."""
    rows = frame[frame["excluded"] == ""]
    _refuse_numbers(rows["label"], where)
    classes = sorted(rows["label"].unique())
    if len(classes) < 2:
        raise UnchokeError(
            "There are too few classes.",
            found=f"{len(classes)} ({', '.join(map(repr, classes)) or 'no image has a label'})",
            expected="at least 2",
            where=where,
            do="one folder a class below dataset.path, or labels (column or array) with two values; heads: {} in the "
            "config gets features, and a list of images to label, without any",
        )
    labels = {split: set(rows.loc[rows["split"] == split, "label"]) for split in SPLITS}
    for split in ("val", "test"):
        if unseen := sorted(labels[split] - labels["train"]):
            raise UnchokeError(
                f"The {split} split has a class that train lacks.",
                found=", ".join(map(repr, unseen[:5])),
                expected="every class in train",
                where=where,
                do="move some of its images to train, or delete the class",
            )


def _refuse_numbers(labels: pd.Series, where: str) -> None:
    """UnchokeError where most images have a number of their own, with a fraction: no classes, but a target."""
    different = labels.unique()
    if len(different) < _MANY or 2 * len(different) < len(labels):
        return
    numbers = [number_in(label) for label in different]
    if all(map(math.isfinite, numbers)) and not all(map(float.is_integer, numbers)):
        raise UnchokeError(
            "The labels look like numbers, not like classes.",
            found=f"{len(different):,} different numbers among {len(labels):,} images, such as {different[0]}",
            expected="classes, each with several images",
            where=where,
            do="set dataset.target to regression, so that heads predict the number (docs/targets.md)",
        )


def check_splits(frame: pd.DataFrame, where: str) -> None:
    """UnchokeError where a split is empty."""
    rows, reasons = frame[frame["excluded"] == ""], frame.loc[frame["excluded"] != "", "excluded"].value_counts()
    for split in SPLITS:
        if not (rows["split"] == split).any():
            left_out = "".join(
                f"; left out: {count} × {reason}{_example(frame, str(reason))}"
                for reason, count in reasons.head(3).items()
            )
            raise UnchokeError(
                f"The {split} split is empty.",
                found=f"{len(rows)} images, none of them in {split}{left_out}",
                expected="train to fit, val to choose, test to report",
                where=where,
                do=_more_images(split, len(rows), str(reasons.index[0]) if len(reasons) else ""),
            )


def _example(frame: pd.DataFrame, reason: str) -> str:
    """The first label that is no number, where that is the reason."""
    labels = frame.loc[frame["excluded"] == reason, "label"]
    return f", such as {labels.iloc[0]!r}" if reason == NO_NUMBER else ""


def _more_images(split: str, usable: int, reason: str) -> str:
    """What to do about an empty split; train has what val and test leave. reason: the commonest of images left out."""
    if not usable and reason == NO_NUMBER:
        return "write numbers as 1.5, or leave dataset.target out where labels are classes"
    if not usable and reason == NO_LABEL:
        return "label some images; until then heads: {} gets features and a list of images to label (docs/labelling.md)"
    if not usable:
        return "mend the images, or what describes them, by the reasons that are named"
    share = "dataset.split.val or dataset.split.test" if split == "train" else f"dataset.split.{split}"
    return f"give it images, or change {share}; with few groups a split may get none"
