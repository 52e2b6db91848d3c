"""The networks to train: the last blocks of an encoder on cached activations, or whole ones on cached pixels."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from unchoke.config.base import MAX_MEMORY_MB, MAX_SEED, NAME_LENGTH, one_of
from unchoke.config.encoders import PRECISIONS
from unchoke.config.evaluation import Metric
from unchoke.config.heads import Descent, Positive
from unchoke.config.views import View
from unchoke.names import SMALL_CNN

Augment = Literal["hflip", "vflip", "turns", "shift", "crop", "colour"]
Share = Annotated[float, Field(ge=0, lt=1)]

MAX_MINUTES = 10_000_000
"""Minutes to allow, at most: nineteen years."""
MAX_CARDS = 64
"""Cards of one machine, at most."""


class Network(Descent):
    """A network that is trained: the last blocks of an encoder, or all of one."""

    encoder: str | None = None
    """The encoder whose weights the network begins with, by its name in this config. Either this or `model`."""

    model: str | None = Field(None, min_length=1, max_length=NAME_LENGTH)
    """A model of timm that begins with random weights, or `small_cnn`: four convolutions and a classifier. All of it
    is trained."""

    image_size: int | None = Field(None, ge=8, le=4096)
    """With `model`: height and width of what it sees, px. An encoder has its own."""

    blocks: Annotated[int, Field(ge=1, le=10_000)] | Literal["all"] = "all"
    """How many of the last residual, transformer or inverted-residual blocks are trained, with norm and classifier. The
    part before them is frozen, and its activations are cached. `all`: everything is trained, from cached pixels."""

    start: str | None = "probe"
    """The linear head on the same encoder that the classifier begins with (LP-FT, Kumar et al. 2022, arXiv 2202.10054),
    by its name in `heads`. `probe`: the first of kind logistic, else linear, where there is one. null: random ones."""

    cache: Literal["activations", "none"] = "activations"
    """`none`: the frozen part runs in each step, on cached pixels."""

    cache_gb: float = Field(20, gt=0, le=MAX_MEMORY_MB)
    """What cached activations or pixels may take on disk, 10⁹ bytes; a larger cache stops the run before its
    first chunk."""

    train_views: list[View] = Field(["identity"], min_length=1)
    """Cached activations: the views of an image, one of which is drawn for each epoch; the encoder must have them."""

    test_views: list[View] = Field(["identity"], min_length=1)
    """Cached activations: the views whose probabilities are averaged on val and test."""

    augment: list[Augment] = []
    """Pixels: what is drawn anew for each image and epoch. `hflip`, `vflip`; `turns`: one of eight flips and quarter
    turns; `shift`: up to `shift_px` px; `crop`: 64 to 100 % of the area; `colour`: brightness, contrast, saturation."""

    shift_px: int = Field(4, ge=1, le=1024)
    """How far `shift` moves an image in either direction, px; the border is repeated."""

    optimizer: Literal["sgd", "adamw"] = "adamw"
    """SGD with momentum, or AdamW (decay apart from the gradient)."""

    learning_rates: list[Positive] = Field([1e-4, 3e-4, 1e-3], min_length=1)
    """Learning rates to try."""

    seeds: list[Annotated[int, Field(ge=0, le=MAX_SEED)]] = Field([0], min_length=1)
    """Seeds of first weights, order and augmentation; figures are means over them."""

    epochs: int = Field(8, ge=1, le=1_000_000)
    """Times that the training images are gone through."""

    batch_size: int = Field(64, ge=1, le=65_536)
    """Images a step. What memory does not hold at once is summed over micro-batches."""

    warm_up: Share = 0.05
    """Share of the steps over which the learning rate rises from 0."""

    layer_decay: float = Field(1.0, gt=0, le=1)
    """Factor of the learning rate from a layer to the one before it, as timm groups layers."""

    clip_norm: float | None = Field(None, gt=0)
    """The gradient's norm, at most: a larger gradient is scaled down. null: any."""

    mixup: float = Field(0.0, ge=0, le=10)
    """Mixup (Zhang et al. 2018): two images are mixed by a share from Beta(mixup, mixup); 0: none."""

    drop_path: Share = 0.0
    """Share of the residual branches that are left out of an image in a step (stochastic depth); the last block's."""

    dropout: Share = 0.0
    """Share of the inputs of the classifier that are left out of an image in a step."""

    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of the mean of all weights so far, which then takes the place of the last weights; null: none."""

    precision: Annotated[str, AfterValidator(lambda name: one_of(PRECISIONS, name))] = Field(
        "float32", json_schema_extra={"enum": list(PRECISIONS)}
    )
    """Arithmetic on CUDA (autocast): float32, bfloat16, or float16 with scaled losses. The CPU computes in float32."""

    checkpointing: bool = False
    """Keep of each block the input alone, and compute the rest again for the gradient: less memory, more time."""

    compile: bool = False
    """Let torch.compile make the network faster; the first steps then take minutes."""

    deterministic: bool = False
    """On a card, use only algorithms whose results do not change from run to run. The CPU's never do."""

    minutes: float | None = Field(10, gt=0, le=MAX_MINUTES)
    """Minutes of training that the plan may foresee; a longer training stops the run before it starts. null: any."""

    cards: int = Field(1, ge=1, le=MAX_CARDS)
    """Cards that share each step (data-parallel)."""

    choose_by: Metric | None = None
    """The figure on val by which one of the settings tried is chosen; null: `evaluation.metric`."""

    @model_validator(mode="after")
    def _one_origin(self) -> "Network":
        if (self.encoder is None) == (self.model is None):
            raise ValueError("give either encoder, whose weights the network begins with, or model")
        if self.encoder is None:
            self._refuse_without_encoder()
        elif self.image_size is not None:
            raise ValueError("image_size is that of the encoder: leave it out, or give model")
        if self.from_activations and self.augment:
            raise ValueError("augment needs pixels, and activations are cached: give train_views, or cache: none")
        if not self.from_activations and [*self.train_views, *self.test_views] != ["identity", "identity"]:
            raise ValueError("train_views and test_views are of cached activations: give augment")
        return self

    def _refuse_without_encoder(self) -> None:
        if self.blocks != "all":
            raise ValueError("blocks needs an encoder, whose part before them is frozen; leave it out")
        if self.start not in ("probe", None):
            raise ValueError("start needs an encoder, on whose features the head was trained")
        if self.image_size is None:
            raise ValueError(f"model needs image_size, the px that it sees ({SMALL_CNN} has no size of its own)")

    @property
    def from_activations(self) -> bool:
        """Whether the network reads cached activations; else it reads cached pixels."""
        return self.blocks != "all" and self.cache == "activations"
