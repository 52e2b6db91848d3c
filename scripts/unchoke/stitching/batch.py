"""Stage: the masks of many small images, made by one job; those that are there and up to date are kept."""

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.files import synced_together, write_atomic
from unchoke.hashing import sha256_json
from unchoke.machine.receipts import difference, receipt_written
from unchoke.signed import read_signed, signed_bytes, signed_content
from unchoke.stitching.stitch import PatchReader, Stitching, checked_record, finish_mask, stitch_band
from unchoke.store.chunks import read_record
from unchoke.store.cuts import chunks_of

MASKS = "masks"  # in what a batch writes last: for each image the digest of its mask's files
_MADE_OF = "made_of"  # in the receipt of a mask
_CHUNKS_HELD = 2  # the patches of a small image lie in two chunks at most, and the next image begins in the second


@dataclass(frozen=True)
class MaskPlaces:
    """Where masks are made from, and where they go."""

    predictions: Path
    """What ``predict_patches`` has written, by chunk."""
    labels: Path
    """Store of ``cut_masks``."""
    stitched: Path
    """Folder of the stitched masks."""
    receipts: Path
    """Folder of their receipts, by image."""

    def store(self, image: str) -> Path:
        return self.stitched / f"{image}.zarr"

    def receipt(self, image: str) -> Path:
        return self.receipts / f"{image}.json"


def stitch_masks(places: MaskPlaces, images: Mapping[str, tuple[Stitching, bool]], batch: Path) -> list[str]:
    """Stitch and finish the masks of these images, and return the ids of those that were not there yet.

    images: settings of each, and whether its mask equals that of the whole image. A mask is kept where every file of it
    has its digest and its receipt names the same predictions, labels and settings. batch: JSON file to write last, with
    the digest of each mask: its bytes change when a mask does.
    """
    patches = PatchReader(places.predictions, places.labels, _CHUNKS_HELD)
    origins = _origins(places, images)
    made = [image for image, origin in origins.items() if not _is_whole(places, image, images[image][0], origin)]
    with synced_together():
        for image in made:
            _stitch_mask(patches, places, image, *images[image], origins[image])
    digests = {image: sha256_json(read_signed(places.receipt(image), "receipt")["files"]) for image in images}
    write_atomic(batch, signed_bytes({MASKS: digests}))
    return made


def _stitch_mask(
    patches: PatchReader, places: MaskPlaces, image: str, settings: Stitching, exact: bool, origin: str
) -> None:
    """Write the bands of an image's mask, the finished mask, and its receipt."""
    store = places.store(image)
    places.receipt(image).unlink(missing_ok=True)  # of other bands
    for band in range(settings.grid.band_count):
        stitch_band(patches, store, band, settings)
    with receipt_written(places.receipt(image), **{_MADE_OF: origin}):
        finish_mask(store, store.with_suffix(".png"), store.with_suffix(".json"), settings, exact)


def _origins(places: MaskPlaces, images: Mapping[str, tuple[Stitching, bool]]) -> dict[str, str]:
    """For each image the digest of all that its mask depends on."""
    digests = functools.cache(lambda store, chunk: read_record(store, chunk)["sha256"])
    found = {}
    for image, (settings, exact) in images.items():
        chunks = chunks_of(settings.first, settings.first + settings.grid.count, settings.per_chunk)
        stores = (places.predictions, places.labels)
        parts = [digests(store, chunk) for store in stores for chunk in chunks]
        found[image] = sha256_json([versions.STITCH, asdict(settings), exact, parts])
    return found


def _is_whole(places: MaskPlaces, image: str, settings: Stitching, origin: str) -> bool:
    """Whether every file of an image's mask is there, undamaged, and made of `origin`."""
    receipt = places.receipt(image)
    content = signed_content(receipt.read_bytes()) if receipt.is_file() else None
    if not content or content.get(_MADE_OF) != origin:
        return False
    if any(difference(receipt.parent / path, sha256) for path, sha256 in content["files"].items()):
        return False
    try:
        for band in range(settings.grid.band_count):
            checked_record(places.store(image), band, settings)
    except UnchokeError:
        return False
    return True
