"""What a config costs on this machine, as the doctor finds it; and some of the pictures, read to see their size."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from unchoke.api.doctor import examine_machine
from unchoke.encoders.packaged import PACKAGES, packaged_bytes
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.images.decode import picture_of
from unchoke.images.windows import image_size
from unchoke.machine.devices import choose_device
from unchoke.names import MASK_KINDS
from unchoke.sources.source import image_root, open_images
from unchoke.targets.weights import encoder_weights

_SUBJECTS = ("device", "time", "reading", "disk", "weights")
_SAMPLE = 16  # pictures, evenly over all


def has_card() -> bool:
    """Whether encoders run on a graphics card here."""
    return choose_device("auto").type == "cuda"


def has_package(model: str) -> bool:
    """Whether the packaged weights of a model are installed."""
    try:
        return model in PACKAGES and bool(packaged_bytes(model))
    except UnchokeError:
        return False


class Sample:
    """Some pictures of a dataset, read to see how large they are, and whether they can be read at all."""

    def __init__(self, dataset: dict[str, Any], paths: list[str], max_pixels: int) -> None:
        """dataset: section of the config. paths: of all images, as the manifest has them."""
        self.sides_px, self.reasons = list[int](), list[str]()
        root = image_root(dataset["kind"], Path(dataset["path"]))
        chosen = paths[:: max(1, -(-len(paths) // _SAMPLE))]
        masks = dataset["kind"] in MASK_KINDS  # whose images may be too large to be read whole
        for path, reader in zip(chosen, open_images(dataset["kind"], root, chosen), strict=True):
            try:
                size = image_size(root / path) if masks else picture_of(reader(), max_pixels=max_pixels).size
            except UnreadableImageError as error:
                self.reasons.append(f"{path}: {error}")
            else:
                self.sides_px.append(min(size))

    @property
    def side_px(self) -> int:
        """The usual shorter side; UnchokeError where none of the pictures can be read."""
        if not self.sides_px:
            raise UnchokeError(
                "None of the pictures that were tried can be read.",
                found="\n            ".join(self.reasons[:3]),
                do="open one of them in another program, and correct or replace the files",
            )
        return int(median(self.sides_px))


def expectations(config: dict[str, Any], results: Path, sample: Sample) -> Iterator[str]:
    """Lines for a comment. config: with every default filled in. results: its folder of results, there or not."""
    weights = {name: Path(encoder_weights(encoder)["weights"]) for name, encoder in config["encoders"].items()}
    for finding in examine_machine(config, results, weights):
        if finding.subject in _SUBJECTS or not finding.fine:
            yield f"{'' if finding.fine else '! '}{finding.subject}: {finding.text}"
    yield from (f"! not readable: {reason}" for reason in sample.reasons[:3])
