"""What the doctor says of the images: classes and splits, files left out, and how fast images are read."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unchoke.api.findings import Finding, one_line
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.images.decode import picture_of
from unchoke.images.jpegs import check_decoder
from unchoke.manifest.checks import check_labels, check_splits
from unchoke.manifest.classes import counts_of, label_warnings
from unchoke.manifest.images import SplitSettings, list_manifest, unlabelled_notes
from unchoke.manifest.moves import GONE
from unchoke.names import CLASSIFICATION, MASK_KINDS, MULTILABEL, NO_LABEL, REGRESSION, SPLITS
from unchoke.sources.left_out import what_to_do
from unchoke.sources.locations import fields_of
from unchoke.sources.source import Listing, open_images

MOST_CLASSES = 12  # named with their counts
MOST_ENDINGS = 6
TRIED = 16  # images that are read to learn the rate


_SUBJECTS = {CLASSIFICATION: "classes", MULTILABEL: "labels", REGRESSION: "target"}
"""What findings on labels are about, by what heads predict."""


def image_findings(config: dict[str, Any], listing: Listing, results: Path) -> Iterator[Finding]:
    """Classes with their images by split as the run will draw them, doubtful classes, and files that are left out."""
    yield from _split_findings(config, results)
    yield from _decoder_findings(config["decoding"]["decoder"])
    if left_out := _left_out(listing.left_out):
        yield Finding("left out", left_out)


def _decoder_findings(decoder: str) -> Iterator[Finding]:
    """What keeps the decoder of JPEG files from being used."""
    try:
        check_decoder(decoder)
    except UnchokeError as error:
        yield Finding("decoder", one_line(error), False)


def _split_findings(config: dict[str, Any], results: Path) -> Iterator[Finding]:
    """Findings on splits and classes, from the manifest as the next run will have it."""
    dataset = config["dataset"]
    split = SplitSettings(*(dataset["split"][name] for name in ("seed", "val", "test")))
    source = dataset["kind"], Path(dataset["path"]), dataset["split"]["group"]
    try:
        task, fields = dataset["target"], fields_of(dataset)
        frame = list_manifest(*source, split, results / "manifest.csv", fields, task=task).frame
        masks = dataset["kind"] in MASK_KINDS
        if not masks and (config["heads"] or config["networks"]):
            check_labels(frame, str(source[1]), task)
            check_splits(frame, str(source[1]))
    except UnchokeError as error:
        yield Finding("classes", one_line(error), False)
        return
    sizes = frame.loc[frame["excluded"] == "", "split"].value_counts()
    if masks:
        return  # whose splits depend on which masks can be read
    yield Finding("splits", ", ".join(f"{sizes.get(name, 0):,} {name}" for name in SPLITS))
    named, counts = _SUBJECTS[task], counts_of(frame, task)
    shown = [f"{name} {'/'.join(f'{by_split[split]:,}' for split in SPLITS)}" for name, by_split in counts.items()]
    more = f", and {len(shown) - MOST_CLASSES:,} more" if len(shown) > MOST_CLASSES else ""
    if task != REGRESSION:
        yield Finding(named, f"{len(shown):,} ({'/'.join(SPLITS)}): {', '.join(shown[:MOST_CLASSES])}{more}")
    yield from (Finding(named, f"warning: {text}") for text in label_warnings(frame, task))
    yield from (Finding("labels", text) for text in unlabelled_notes(frame))
    if unusable := frame.loc[~frame["excluded"].isin(["", NO_LABEL, *GONE]), "excluded"].value_counts().to_dict():
        yield Finding("unusable", ", ".join(f"{count:,} × {reason}" for reason, count in unusable.items()))


def _left_out(left_out: Counter[str]) -> str:
    """The most frequent endings of files that are left out, with what to do."""
    named = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))[:MOST_ENDINGS]
    parts = [f"{count:,} × {ending}" + (f" ({do})" if (do := what_to_do(ending)) else "") for ending, count in named]
    rest = left_out.total() - sum(count for _, count in named)
    return "; ".join(parts) + (f"; and {rest:,} more files" if rest else "")


def decoding_rate(config: dict[str, Any], listing: Listing) -> float | None:
    """Images a second that one thread reads and decodes, from TRIED of them; None where none of these can be read."""
    step = max(1, len(listing.images) // TRIED)
    paths = [image.path for image in listing.images[::step][:TRIED]]
    done, began = 0, time.perf_counter()
    how = {key: config["decoding"][key] for key in ("max_pixels", "decoder")}
    for read in open_images(config["dataset"]["kind"], listing.root, paths):
        try:
            picture_of(read(), **how)
            done += 1
        except UnreadableImageError:
            continue  # which the quarantine will say
    return done / (time.perf_counter() - began) if done else None
