"""The heads that tell pixels apart; one class a kind, named as its module in ``unchoke/mask_heads/kinds/``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unchoke.config.base import MAX_MEMORY_MB, MAX_SEED, MAX_STEPS, Section
from unchoke.config.heads import ClassWeights, NotNegative, Positive
from unchoke.config.teacher import Distil


class TrainedSection(Section):
    """What every kind of mask head has."""

    learning_rates: list[Positive] = Field([1e-3], min_length=1)
    """Learning rates to try."""

    weight_decays: list[NotNegative] = Field([0.01], min_length=1)
    """Weight decays of AdamW to try with every learning rate."""

    seeds: list[Annotated[int, Field(ge=0, le=MAX_SEED)]] = Field([0], min_length=1)
    """Seeds of first weights and of the order of patches; probabilities are means over them."""

    epochs: int = Field(20, ge=1, le=MAX_STEPS)
    """Times that the training patches are gone through."""

    batch_size: int = Field(8, ge=1, le=65_536)
    """Patches a step."""

    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate over time: to 0 along half a cosine, or constant."""

    keep: Literal["last", "best"] = "best"
    """Weights of the last epoch, or of the epoch with the best mean IoU on val."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Arithmetic of the products (autocast); float16 for CUDA alone, with a scaled loss."""

    distil: Distil | None = None
    """What the head learns from the teacher before it learns from masks; null: nothing."""

    threads: int = Field(4, ge=1, le=256)
    """Threads that train where there is no card, whatever `--cores` says: the last digits of the weights depend on it.
    On a machine with more processors and no card, give it as many."""

    memory_mb: int = Field(1024, ge=64, le=MAX_MEMORY_MB)
    """Patches that are held in memory at once, MiB; where all fit they are read once."""

    @model_validator(mode="after")
    def _distillation_fits(self) -> "TrainedSection":
        if self.distil and not 0 < (asked := self.distil.features + self.distil.logits) <= self.epochs:
            raise ValueError(
                f"distil: features and logits ask for {asked} epochs; 1 to {self.epochs} (epochs) are there"
            )
        return self


class PixelLosses(Section):
    """The losses of heads that give each pixel one of the classes."""

    loss: Literal["cross_entropy", "dice", "focal", "cross_entropy+dice"] = "cross_entropy+dice"
    """Cross-entropy, soft Dice (Milletari et al. 2016), focal (Lin et al. 2017), or the sum of the first two."""

    dice: Literal["batch", "patch", "penalty"] = "batch"
    """Dice where a patch lacks a class. `batch`: sums over the batch, so that a false blob costs where another patch
    has the class. `patch`: of each patch the classes that it has, so that a false blob costs next to nothing.
    `penalty`: of each patch all classes; one that it lacks costs about 1 where it is predicted at all (MONAI's
    smoothing). Test IoU of a small decoder by Dice alone: digits on canvases 0.333, 0.295, 0.264; membranes 0.858,
    0.854, 0.854."""

    focal_gamma: float = Field(2.0, ge=0)
    """Exponent of the focal loss."""

    class_weights: ClassWeights = "none"
    """`balanced`: every class weighs the same in the loss, however many pixels it has."""


class CachedSection(TrainedSection):
    """What heads on cached features have."""

    encoders: list[str] | None = Field(None, min_length=1)
    """The encoders that the head is tried on, by their names in this config; null: all."""

    augment: Literal[False] = False
    """Cached features cannot be turned or flipped."""


class LinearMask(PixelLosses, CachedSection):
    """One 1×1 convolution over all strides: a linear probe of every pixel."""

    kind: Literal["linear"]
    """Linear probe of pixels."""

    @model_validator(mode="after")
    def _has_no_hidden_map(self) -> "LinearMask":
        if self.distil and self.distil.features:
            raise ValueError("distil.features: a linear head has no map that could be close to features; set 0")
        return self


class Decoder(PixelLosses, CachedSection):
    """A small convolutional decoder, from the coarsest stride to the finest."""

    kind: Literal["decoder"]
    """Convolutional decoder."""

    width: int = Field(64, ge=1, le=4096)
    """Channels."""


class UNet(PixelLosses, TrainedSection):
    """The lightweight U-Net on pixels, without an encoder's features: the baseline."""

    kind: Literal["unet"]
    """U-Net on pixels."""

    width: int = Field(64, ge=1, le=4096)
    """Channels of the first level; 64 gives 64-128-256 and back 128-64-32."""

    augment: bool = False
    """Turn and flip patches at random; cached features cannot be turned."""


class TextHead(CachedSection):
    """Text by differentiable binarization (Liao et al. 2020): for `dataset.kind: text` alone."""

    kind: Literal["db"]
    """Probability and threshold maps of words."""

    width: int = Field(64, ge=1, le=4096)
    """Channels."""

    loss: Literal["db"] = "db"
    """Cross-entropy with three hard negatives for each pixel of text, 10 × L1 of the threshold, and Dice of the
    approximate binary map (k = 50), added. Dice is that of the authors' code; their paper has cross-entropy there."""

    class_weights: Literal["none"] = "none"
    """Hard negatives balance text and background."""


MaskHead = Annotated[LinearMask | Decoder | UNet | TextHead, Field(discriminator="kind")]
