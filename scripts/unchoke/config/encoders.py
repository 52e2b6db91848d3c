"""The frozen encoders."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from unchoke.config.base import MAX_SEED, NAME_LENGTH, Section, listed_in, one_of, without_braces
from unchoke.config.views import View
from unchoke.encoders.packaged import without_package

POOLS = listed_in("encoders/pools/kinds")
Pool = Annotated[
    str, AfterValidator(lambda pool: one_of(POOLS, pool)), WithJsonSchema({"type": "string", "enum": POOLS})
]

PRECISIONS = ["float16", "bfloat16", "float32"]


class Encoder(Section):
    """One frozen timm encoder."""

    model: str = Field(min_length=1, max_length=NAME_LENGTH)
    """A model of timm, with its weights' tag if it has several, such as `vit_small_patch14_dinov2.lvd142m`. It is part
    of file names: 100 characters at most."""

    weights: Annotated[str, AfterValidator(without_braces)] = Field("pretrained", min_length=1)
    """`pretrained`: timm's, from the hub. `packaged`: from a Python package, for the models `tf_efficientnet_lite0` and
    `tf_efficientnet_lite2`. `untrained`: drawn from `seed`. Anything else is the path of a safetensors file, or of a
    PyTorch file that holds tensors alone."""

    seed: int = Field(0, ge=0, le=MAX_SEED)
    """Seed of untrained weights."""

    image_size: int | None = Field(None, ge=8, le=4096)
    """Height and width of what the encoder sees, px; null: the size that its weights were made for. At most 4096:
    a larger picture fits no card; cut it into `patches`."""

    pools: list[Pool] = Field(["avg"], min_length=1)
    """Poolings to store, each an array of its own: `avg`, `max` (over the map of features), `cls` (class token), `head`
    (timm's own pooling, with what the model does behind it)."""

    strides: list[Annotated[int, Field(ge=1, le=4096)]] = []
    """Masks: strides of the feature maps to store in the place of pools, px; of each the deepest map that the model
    has. Convolutional models have 4, 8, 16 and 32 (many 2 as well), a vision transformer that of its patches."""

    views: list[View] = Field(["identity"], min_length=1)
    """Views of every image to store, each in chunks of its own: the eight flips and turns (`identity`, `hflip`,
    `vflip`, `rot90`, `rot180`, `rot270`, `transpose`, `transverse`), `crop_0`, `crop_1`, … (random crops) and
    `colour_0`, … (random brightness, contrast and saturation), drawn from their number and the image's id."""

    micro_batch: int = Field(32, ge=1, le=65_536)
    """Images that pass the encoder at once; the last batch is padded to it."""

    precision: Annotated[str, AfterValidator(lambda name: one_of(PRECISIONS, name))] = Field(
        "float16", json_schema_extra={"enum": list(PRECISIONS)}
    )
    """Arithmetic of the encoder on CUDA (autocast): float16, bfloat16 or float32. The CPU and mps compute in float32.
    What is stored is of the type that `store` names."""

    store: Literal["float16", "float32"] = "float16"
    """Numbers of the store. float16 takes half the space; float32 keeps features that are large beside their deviation,
    or below 1e-5. A run warns where float16 costs accuracy."""

    compile: Literal["auto", "on", "off"] = "off"
    """Compile the encoder by torch.compile, on a processor with a C++ compiler. Features differ in their
    last digits, and EfficientNets gain most. `auto`: measured first, and done where it pays for the number of images. A
    store with chunks keeps their way under `auto`; other changes make its chunks anew."""

    @model_validator(mode="after")
    def _packaged_weights_are_those_of_a_package(self) -> "Encoder":
        if self.weights == "packaged" and (problem := without_package(self.model)):
            raise ValueError(f"weights: {problem}")
        return self
