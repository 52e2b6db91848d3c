"""Pure: the files of predicted and stitched masks, as the rules name them; which chunks a band of a mask depends on.

Configs are as in ``stores``. The Snakefile reads this module, which therefore imports no numpy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from unchoke.images.grid import Grid
from unchoke.store.cuts import chunks_of
from unchoke.targets.stores import RESULTS, Config

MOST_IMAGES_PER_JOB = 256  # their ids stand in the job's command


@dataclass(frozen=True)
class Masks:
    """How the images of a manifest are cut.

    config: with masks. grids: of every image by its id, as ``grids.json`` has them: its `height` and `width`, px, its
    `split`, and `first`, the number of its first patch.
    """

    config: Config
    grids: Mapping[str, Mapping[str, Any]]

    @cached_property
    def images(self) -> list[str]:
        """Ids of the images of the splits that are segmented."""
        splits = self.config["segment"]["splits"]
        return [image for image, grid in self.grids.items() if grid["split"] in splits]

    @cached_property
    def batches(self) -> list[list[str]]:
        """Ids of the images that one job stitches, for each such job; new images change the last one alone."""
        most_px, found, room_px = self.config["segment"]["pixels_per_job"], list[list[str]](), 0
        for image in sorted(self.images, key=int):
            if (pixels := self._pixels(image)) > most_px:
                continue
            if pixels > room_px or len(found[-1]) == MOST_IMAGES_PER_JOB:
                found.append([])
                room_px = most_px
            found[-1].append(image)
            room_px -= pixels
        return found

    @cached_property
    def apart(self) -> list[str]:
        """Ids of the images that are too large for a batch: each band of theirs has a job."""
        return [image for image in self.images if self._pixels(image) > self.config["segment"]["pixels_per_job"]]

    def _pixels(self, image: str) -> int:
        height, width = self.grids[image]["height"], self.grids[image]["width"]
        return int(height * width)

    def grid(self, image: str) -> Grid:
        patches = self.config["patches"]
        return Grid(self.grids[image]["height"], self.grids[image]["width"], patches["size"], patches["overlap"])

    def bands(self, image: str) -> range:
        """Numbers of the bands of an image's mask."""
        return range(self.grid(image).band_count)

    def chunks_at(self, image: str, band: int | str) -> range:
        """Chunks in which the patches of the rows beside a band lie."""
        return self._chunks(image, self.grid(image).rows_at(int(band)))

    @cached_property
    def chunks(self) -> list[int]:
        """Chunks in which a patch of a segmented image lies, in order."""
        return self.chunks_with(self.images)

    def chunks_with(self, images: Iterable[str]) -> list[int]:
        """Chunks in which a patch of one of these images lies, in order."""
        return sorted({chunk for image in images for chunk in self._chunks(image, range(self.grid(image).rows))})

    def _chunks(self, image: str, rows: range) -> range:
        """Chunks in which some rows of an image's patches lie."""
        first, columns = self.grids[image]["first"], self.grid(image).columns
        places = first + rows.start * columns, first + rows.stop * columns
        return chunks_of(*places, self.config["patches"]["per_chunk"])


def batch_files(encoder: str, head: str, batches: Iterable[int]) -> list[str]:
    """What the jobs that stitch some batches of images write last."""
    return [f"{RESULTS}/stitched/{encoder}/{head}/batches/{batch}.json" for batch in batches]


def prediction_files(encoder: str, head: str, chunks: Iterable[int]) -> list[str]:
    """What a head predicts for the patches of some chunks."""
    store = f"{RESULTS}/predictions/{encoder}/{head}.zarr"
    return [f"{store}/probability/c/{chunk}/0/0/0" for chunk in chunks]


def band_files(encoder: str, head: str, image: str, bands: Iterable[int]) -> list[str]:
    """Some bands of an image's mask."""
    return [f"{RESULTS}/stitched/{encoder}/{head}/{image}.zarr/mask/c/{band}/0" for band in bands]


def mask_files(encoder: str, head: str, image: str) -> list[str]:
    """The finished mask of an image."""
    stem = f"{RESULTS}/stitched/{encoder}/{head}/{image}"
    return [f"{stem}{ending}" for ending in (".zarr/zarr.json", ".png", ".json")]


def mask_receipt(encoder: str, head: str, image: str) -> str:
    """The receipt of the finished mask of an image."""
    return f"{RESULTS}/receipts/finish_mask/{encoder}/{head}/{image}.json"
