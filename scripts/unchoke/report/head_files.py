"""What the page of a head reads: by task the flags that name the files, and the reading of them."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from unchoke.cleaning.clean import read_belongings
from unchoke.machine.commands import or_none
from unchoke.names import IMAGE_TASKS
from unchoke.report.mask_pictures import MaskFiles, PictureFiles
from unchoke.report.results import HeadResults, MaskResults, read_head, read_mask_head
from unchoke.sources.source import add_picture_flags
from unchoke.store.run_record import DETECTION, SEGMENTATION
from unchoke.store.tables import MANIFEST_COLUMNS, read_table


@dataclass(frozen=True)
class ImageFiles:
    """Where the images of a dataset lie, and which of them belong together."""

    manifest: pd.DataFrame
    """With the paths of the images below `root`."""
    belongings: pd.DataFrame
    """As from ``clean.read_belongings``."""
    root: Path
    max_pixels: int
    """As for decoding."""
    kind: str
    """Of the images' source."""


def add_head_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of every task, then the task as a subcommand with its own."""
    parser.add_argument("--group", type=Path, required=True, help="Zarr group of the head's results")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the images' paths")
    add_picture_flags(parser)
    tasks = parser.add_subparsers(dest="task", required=True, help="task of the head")
    for task, (add_flags, _) in _TASKS.items():
        add_flags(tasks.add_parser(task))


def read_head_files(args: argparse.Namespace) -> tuple[HeadResults | MaskResults, ImageFiles | PictureFiles]:
    """The head and the images that the flags name, as ``head.draw_head`` takes them."""
    return _TASKS[args.task][1](args)  # type: ignore[no-any-return]


def _add_image_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--selection", type=Path, help="CSV that says which images are copies of each other")
    parser.add_argument("--kind", default="folder", help="kind of source, dataset.kind in the config")


def _read_images(args: argparse.Namespace) -> tuple[HeadResults, ImageFiles]:
    manifest = read_table(args.manifest, MANIFEST_COLUMNS)
    belongings = read_belongings(args.manifest, args.selection)
    return read_head(args.group), ImageFiles(manifest, belongings, args.root, args.max_pixels, args.kind)


def _add_text_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scores", type=Path, required=True, help="JSON with the scores of its masks")
    parser.add_argument("--run", type=Path, required=True, help="JSON with the seconds of its training")
    parser.add_argument("--store", type=Path, help="sealed Zarr store of its feature maps; none for a head on pixels")
    parser.add_argument("--grids", type=Path, required=True, help="JSON with the images' sizes and patches")


def _add_mask_flags(parser: argparse.ArgumentParser) -> None:
    _add_text_flags(parser)
    parser.add_argument("--stitched", type=Path, required=True, help="folder of its masks")
    parser.add_argument("--mask-rows", type=Path, required=True, help="folder of tables with the patches' masks")
    parser.add_argument("--classes", type=json.loads, required=True, help="JSON: the mask values of each class")
    parser.add_argument("--ignore", type=or_none(int), help="value of pixels that do not count")


def _read_masks(args: argparse.Namespace) -> tuple[MaskResults, MaskFiles]:
    names = ("mask_rows", "stitched", "classes", "ignore")
    files = MaskFiles(**vars(_pictures(args)), **{name: vars(args)[name] for name in names})
    return read_mask_head(args.group, args.scores, args.run, args.store), files


def _read_text(args: argparse.Namespace) -> tuple[MaskResults, PictureFiles]:
    return read_mask_head(args.group, args.scores, args.run, args.store), _pictures(args)


def _pictures(args: argparse.Namespace) -> PictureFiles:
    manifest = read_table(args.manifest, MANIFEST_COLUMNS)
    paths = dict(zip(manifest["image_id"].tolist(), manifest["path"], strict=True))
    return PictureFiles(args.root, paths, args.grids, args.max_pixels)


_TASKS: dict[str, tuple[Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], Any]]] = {
    **dict.fromkeys(IMAGE_TASKS, (_add_image_flags, _read_images)),
    SEGMENTATION: (_add_mask_flags, _read_masks),
    DETECTION: (_add_text_flags, _read_text),
}
