"""The one model of the config: every key with its type, unit, default and description.

Schema, defaults and the table of keys are written from it by ``scripts/write_config_docs.py``. It imports
neither torch nor pandas, since the Snakefile reads it in every job.
"""

from typing import Annotated, Any

from pydantic import Field, model_validator

from unchoke.config.base import NAME, NAME_LENGTH, Section
from unchoke.config.cleaning import Cleaning
from unchoke.config.dataset import Dataset
from unchoke.config.decoding import Decoding
from unchoke.config.detection import Detection
from unchoke.config.encoders import Encoder
from unchoke.config.evaluation import METRICS_OF, Evaluation
from unchoke.config.gpu import Gpu
from unchoke.config.heads import TARGET_HEADS, Head, Knn, Linear, Logistic, Ridge, check_target
from unchoke.config.mask_heads import MaskHead
from unchoke.config.networks import Network
from unchoke.config.patches import Patches
from unchoke.config.profile import Profile
from unchoke.config.segment import Segment
from unchoke.config.subset import Subset, check_listing
from unchoke.config.teacher import Teacher
from unchoke.names import (
    DRAWN,
    MASK_KINDS,
    MULTILABEL,
    PIXELS,
    PROBES,
    REGRESSION,
    SPLITS,
    TEACHER,
    TEXT_KINDS,
    suggestion,
)

Name = Annotated[str, Field(pattern=NAME, max_length=NAME_LENGTH)]


PIXEL_BYTES = 4  # of a decoded picture, as Pillow holds RGB
CLEANING_MB = 200  # what a job of cleaning takes beside its largest picture


class Config(Section):
    """A run of Unchoke. Sections that a file leaves out are those of `config/config.yaml`."""

    dataset: Dataset = Dataset(name="digits", kind="digits", path="resources/digits")
    """Where the images are and how they are split."""

    chunk_size: int = Field(64, ge=1, le=65_536)
    """Images per chunk: one job, and one file a pooling, which is held in memory; 65,536 at most."""

    chunks_per_shard: int = Field(1, ge=1, le=1024)
    """Chunks per shard. Above 1, one job makes so many chunks, and one file a pooling, a Zarr shard, holds them; they
    read the same. A job that was killed takes up at the chunk where it stopped. 1 for datasets with masks."""

    decoding: Decoding = Decoding()
    """How image files become pixels."""

    cleaning: Cleaning | None = Cleaning()
    """Which images are looked at twice before heads are trained, and which of them go; null: none. Datasets with masks
    are not cleaned."""

    subset: Subset | None = None
    """The part of the data that heads train on, or a list of images to label; null: all of it, and no list. Features
    are cached for all images, so that another subset needs no new ones."""

    encoders: dict[Name, Encoder] = Field(
        {"lite0": Encoder(model="tf_efficientnet_lite0", weights="packaged", image_size=96)}, min_length=1
    )
    """The frozen encoders, by the names that results carry."""

    heads: dict[Name, Head] = {
        "logistic": Logistic(kind="logistic"),
        "linear": Linear(kind="linear"),
        "ridge": Ridge(kind="ridge"),
        "neighbours": Knn(kind="knn", k=[10, 20, 100]),
    }
    """The heads to try on every encoder, by the names that results carry; {} stops at the features."""

    networks: dict[Name, Network] = {}
    """The networks to train, by the names that results carry: the last blocks of an encoder, or whole ones."""

    patches: Patches = Patches()
    """How large images are cut into patches; for datasets with masks."""

    teacher: Teacher | None = None
    """A network that mask heads learn from, or that segments in their place; for datasets with masks. null: none."""

    mask_heads: dict[Name, MaskHead] = {}
    """The heads that tell pixels apart, by the names that results carry; for datasets with masks, whose own default is
    one of each kind."""

    segment: Segment = Segment()
    """Which masks are predicted for whole images, and how patches are put together; for datasets with masks."""

    detection: Detection = Detection()
    """How words are read from the maps of images; for datasets with words."""

    evaluation: Evaluation = Evaluation()
    """How sure the figures are."""

    gpu: Gpu = Gpu()
    """The device that encoders run on."""

    profile: Profile = Profile()
    """How `snakemake profile` measures; no result depends on it."""

    @model_validator(mode="before")
    @classmethod
    def _heads_follow_the_dataset(cls, raw: Any) -> Any:
        """Pixels or images: what is for the other kind is not there unless it is asked for, and then it is an error."""
        if not isinstance(raw, dict):
            return raw
        dataset = raw.get("dataset")
        if isinstance(dataset, dict) and dataset.get("kind") in MASK_KINDS:
            words = dataset["kind"] in TEXT_KINDS
            kinds = ("db",) if words else ("linear", "decoder", "unet")
            filled = {"heads": {}, "mask_heads": {kind: {"kind": kind} for kind in kinds}, "cleaning": None, **raw}
            return filled | _kept_probabilities(raw) if words else filled
        if isinstance(dataset, dict) and dataset.get("target") in (REGRESSION, MULTILABEL):
            metric, given = METRICS_OF[dataset["target"]][0], raw.get("evaluation", {})
            evaluation = {"metric": metric, **given} if isinstance(given, dict) else given
            return {"heads": TARGET_HEADS, **raw, "evaluation": evaluation}
        return raw

    @model_validator(mode="after")
    def _words_are_read_from_probabilities(self) -> "Config":
        if self.dataset.kind in TEXT_KINDS and not self.segment.probabilities:
            raise ValueError(
                f"segment.probabilities: words of dataset.kind {self.dataset.kind} are read from stitched "
                "probabilities: set it to true, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _masks_have_what_they_need(self) -> "Config":
        if not self.dataset.has_masks:
            if self.mask_heads:
                raise ValueError(f"mask_heads: dataset.kind {self.dataset.kind} has no masks")
            if asked := [name for name, encoder in self.encoders.items() if encoder.strides]:
                raise ValueError(f"encoders.{asked[0]}.strides: dataset.kind {self.dataset.kind} has no masks")
            if self.teacher:
                raise ValueError(f"teacher: dataset.kind {self.dataset.kind} has no masks")
            return self
        if self.networks:
            raise ValueError(f"networks: dataset.kind {self.dataset.kind} has masks, which mask_heads learn")
        if self.heads:
            raise ValueError(f"heads: dataset.kind {self.dataset.kind} has masks, which mask_heads learn")
        if self.chunks_per_shard > 1:
            raise ValueError(
                f"chunks_per_shard: dataset.kind {self.dataset.kind} has masks; only whole images have shards"
            )
        if self.decoding.input == PIXELS:
            raise ValueError(
                f"decoding.input: dataset.kind {self.dataset.kind} has masks; only whole images are cached as pixels"
            )
        for section in ("cleaning", "subset"):
            if getattr(self, section):
                raise ValueError(f"{section}: dataset.kind {self.dataset.kind} has masks; only whole images have it")
        for name, encoder in self.encoders.items():
            self._refuse_unfit_encoder(name, encoder)
        for name, head in self.mask_heads.items():
            if head.kind == "db" and self.dataset.kind not in TEXT_KINDS:
                raise ValueError(
                    f"mask_heads.{name}: the kind db finds words, and dataset.kind {self.dataset.kind} has masks: "
                    "take linear, decoder or unet"
                )
            for encoder_name in getattr(head, "encoders", None) or []:
                if encoder_name not in self.encoders:
                    near = suggestion(encoder_name, self.encoders)
                    raise ValueError(f"mask_heads.{name}.encoders: no encoder '{encoder_name}': {near}")
        for name in self.segment.heads or []:
            if name not in self.mask_heads:
                raise ValueError(f"segment.heads: no mask head '{name}': {suggestion(name, self.mask_heads)}")
        if missing := {"val", "test"} - set(self.segment.splits):
            raise ValueError(f"segment.splits: the figures need {min(missing, key=SPLITS.index)} as well")
        return self

    def _refuse_unfit_encoder(self, name: str, encoder: Encoder) -> None:
        where, size, step = f"encoders.{name}", self.patches.size, self.patches.size - self.patches.overlap
        if name in (PIXELS, TEACHER):
            raise ValueError(f"{where}: '{name}' is taken: results of the {name} carry this name")
        if not encoder.strides:
            raise ValueError(f"{where}.strides: masks need feature maps, [4, 8] for instance")
        if encoder.image_size not in (None, size):
            raise ValueError(f"{where}.image_size {encoder.image_size} must be that of a patch, patches.size {size}")
        if encoder.views != ["identity"]:
            raise ValueError(f"{where}.views: feature maps are cached in the view identity alone")
        for stride in encoder.strides:
            if size % stride or step % stride:
                raise ValueError(
                    f"{where}.strides: {stride} must divide patches.size {size} and size less overlap, {step}, "
                    "or patches would not lie on the grid of the feature maps"
                )

    @model_validator(mode="after")
    def _what_is_for_classes_is_left_to_them(self) -> "Config":
        check_target(self)
        return self

    @model_validator(mode="after")
    def _splits_can_be_repeated(self) -> "Config":
        if self.dataset.split.repeats > 1:
            where = f"dataset.split.repeats {self.dataset.split.repeats}"
            if self.dataset.has_masks:
                raise ValueError(
                    f"{where}: dataset.kind {self.dataset.kind} has masks; only heads on whole images are trained on "
                    "further splits: set repeats to 1"
                )
            if self.networks:
                raise ValueError(
                    f"{where}: networks are trained on one split: set repeats to 1, or leave networks to a run of "
                    "their own, with another dataset.name"
                )
            if self.subset and self.subset.how in DRAWN:
                raise ValueError(
                    f"{where}: subset is drawn from one train split, and has no images for others: set subset to null "
                    "or repeats to 1"
                )
        return self

    @model_validator(mode="after")
    def _the_largest_picture_fits_into_cleaning(self) -> "Config":
        if self.cleaning:
            need_mb = CLEANING_MB + self.decoding.max_pixels * PIXEL_BYTES // 2**20 + 1
            if need_mb > self.cleaning.memory_mb:
                raise ValueError(
                    f"cleaning.memory_mb: a picture of decoding.max_pixels {self.decoding.max_pixels} takes "
                    f"{need_mb} MB, above {self.cleaning.memory_mb}: raise the one or lower the other"
                )
        return self

    @model_validator(mode="after")
    def _inspected_features_are_there(self) -> "Config":
        if self.cleaning and (features := self.cleaning.features):
            where, name = "cleaning.features", features.encoder
            if name not in self.encoders:
                raise ValueError(f"{where}.encoder: no encoder '{name}': {suggestion(name, self.encoders)}")
            if features.pool not in (pools := self.encoders[name].pools):
                raise ValueError(f"{where}.pool: encoders.{name}.pools has only {pools}: add '{features.pool}' there")
            repeats, rules = self.dataset.split.repeats, features.rules.model_dump()
            dropping = [name for name, rule in rules.items() if rule and rule["action"] == "drop"]
            if repeats > 1 and dropping:
                raise ValueError(
                    f"{where}.rules.{dropping[0]}.action drop: what it drops from train would be missing in test of "
                    f"dataset.split.repeats {repeats}: set the action to report, or repeats to 1"
                )
        return self

    @model_validator(mode="after")
    def _a_teacher_is_there_where_it_is_asked_for(self) -> "Config":
        if self.segment.head == TEACHER and not self.teacher:
            raise ValueError("segment.head: there is no teacher: name one in teacher")
        for name, head in self.mask_heads.items():
            if head.distil and not self.teacher:
                raise ValueError(f"mask_heads.{name}.distil: there is no teacher: name one in teacher")
            if head.distil and head.distil.features and self.teacher and not self.teacher.features:
                raise ValueError(f"mask_heads.{name}.distil.features: needs teacher.features: true")
        return self

    @model_validator(mode="after")
    def _heads_find_their_features(self) -> "Config":
        for name, head in self.heads.items():
            for encoder in head.encoders or self.encoders:
                if encoder not in self.encoders:
                    raise ValueError(
                        f"heads.{name}.encoders: no encoder '{encoder}': {suggestion(encoder, self.encoders)}"
                    )
                if head.pool not in (pools := self.encoders[encoder].pools):
                    raise ValueError(
                        f"heads.{name} reads pool '{head.pool}', but encoders.{encoder}.pools has only {pools}: "
                        f"add it there, or name the encoders of this head in heads.{name}.encoders"
                    )
                views = self.encoders[encoder].views
                for view in {*head.train_views, *head.test_views} - set(views):
                    raise ValueError(
                        f"heads.{name} reads view '{view}', but encoders.{encoder}.views has only {views}: add it there"
                    )
        return self

    @model_validator(mode="after")
    def _images_to_label_can_be_listed(self) -> "Config":
        if self.subset:
            check_listing(self.subset, self.encoders, self.heads, self.dataset.target)
        return self

    @model_validator(mode="after")
    def _networks_find_what_they_begin_with(self) -> "Config":
        for name, network in self.networks.items():
            where = f"networks.{name}"
            if name in self.heads:
                raise ValueError(f"{where}: heads has the same name, and results carry it: rename one of them")
            if network.encoder is None:
                continue
            if network.encoder not in self.encoders:
                near = suggestion(network.encoder, self.encoders)
                raise ValueError(f"{where}.encoder: no encoder '{network.encoder}': {near}")
            views = self.encoders[network.encoder].views
            for view in {*network.train_views, *network.test_views} - set(views):
                raise ValueError(
                    f"{where} reads view '{view}', but encoders.{network.encoder}.views has only {views}: add it there"
                )
            self._refuse_unfit_start(where, network)
        if self.networks and PIXELS in self.encoders:
            raise ValueError(f"encoders.{PIXELS}: '{PIXELS}' is taken: results of networks without encoder carry it")
        return self

    def _refuse_unfit_start(self, where: str, network: Network) -> None:
        if network.start in ("probe", None):
            return
        head = self.heads.get(network.start)
        if head is None:
            near = suggestion(network.start, self.heads) if self.heads else "there are no heads"
            raise ValueError(f"{where}.start: no head '{network.start}': {near}")
        if not _can_start(head, str(network.encoder)):
            raise ValueError(
                f"{where}.start: '{network.start}' must be a head of kind {' or '.join(PROBES)} without shots, on "
                f"encoder '{network.encoder}'"
            )

    def start_of(self, network: Network) -> str | None:
        """The head that the classifier of a network begins with; None: zeros."""
        if network.start != "probe" or network.encoder is None:
            return network.start if network.encoder else None
        fit = [name for name, head in self.heads.items() if _can_start(head, str(network.encoder))]
        return min(fit, key=lambda name: PROBES.index(self.heads[name].kind), default=None)


def _can_start(head: Head, encoder: str) -> bool:
    """Whether a head is a linear map of features of all training images."""
    return head.kind in PROBES and head.shots is None and encoder in (head.encoders or [encoder])


def _kept_probabilities(raw: dict[str, Any]) -> dict[str, Any]:
    """The section ``segment`` with stitched probabilities, unless it says otherwise."""
    segment = raw.get("segment", {})
    return {"segment": {"probabilities": True, **segment}} if isinstance(segment, dict) else {}
