"""Two folders of files that belong together by their names: images and their masks, or images and their words."""

import os
import posixpath
from collections.abc import Callable, Collection
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.names import nearest
from unchoke.sources.source import ImageFile, Listing
from unchoke.texts import clean_text


def check_folders(path: Path, *wanted: str) -> None:
    """UnchokeError where one of the folders `wanted` is missing below `path`."""
    folders = sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
    for name in wanted:
        if name not in folders:
            near = nearest(name, [other for other in folders if other not in wanted], count=1)
            raise UnchokeError(
                f"There is no folder {name}/.",
                found=", ".join(f"{other}/" for other in folders[:5]) or "no folder",
                expected=f"{'/ and '.join(wanted)}/, with the same names in both",
                where=str(path.absolute()),
                do=f"rename {near[0]}/ to {name}/" if near else "check dataset.path in the config",
            )


def pair(images: Listing, others: Listing, what: str, prefix: str = "") -> dict[str, ImageFile]:
    """Of the files of `others` the one that belongs to each image, by the path of the image. what: one is called so.

    Names that are the same but for their endings belong together, and of the rest those that look the same
    (``texts.clean_text``). prefix: names of `others` may begin with it; a name with it belongs to the image without it,
    unless there is an image with it.
    """
    found: dict[str, ImageFile] = {}
    images_left, others_left = images.images, others.images
    for spelling in (str, clean_text):
        stems = {_stem(image.path, spelling) for image in images_left}
        own = {other.path: _without(prefix, _stem(other.path, spelling), stems) for other in others_left}
        by_stem = _by_stem(others_left, own, others.root, f"{what}s for one image")
        wanted = [image for image in images_left if _stem(image.path, spelling) in by_stem]
        if spelling is str:
            wanted = images_left  # two images of one name are wrong without a partner, too
        stem_of = {image.path: _stem(image.path, spelling) for image in wanted}
        for stem, image in _by_stem(wanted, stem_of, images.root, f"images for one {what}").items():
            if other := by_stem.pop(stem, None):
                found[image.path] = other
        images_left = [image for image in images_left if image.path not in found]
        others_left = list(by_stem.values())
    return found


def _stem(path: str, spelling: Callable[[str], str]) -> str:
    return spelling(posixpath.splitext(path)[0])


def _without(prefix: str, stem: str, stems: Collection[str]) -> str:
    """A stem without the prefix of its last part, where it has one, and no image is called so."""
    folder, name = posixpath.split(stem)
    return stem if stem in stems else posixpath.join(folder, name.removeprefix(prefix))


def _by_stem(files: list[ImageFile], stem_of: dict[str, str], root: Path, too_many: str) -> dict[str, ImageFile]:
    """Files by their stems; UnchokeError names two that have one."""
    found: dict[str, ImageFile] = {}
    for file in files:
        if (other := found.setdefault(stem_of[file.path], file)) is not file:
            raise UnchokeError(
                f"There are two {too_many}.",
                found=f"{other.path!r} and {file.path!r}",
                expected="names that differ in more than their endings, and in more than what nobody sees",
                where=str(root),
                do="rename or delete one of the two",
            )
    return found
