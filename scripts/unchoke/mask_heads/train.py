"""Stage: mask heads. Training on the patches of train, choice on val, and the receptive field."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from unchoke.encoders.encoder import Encoder
from unchoke.encoders.maps import feature_maps
from unchoke.hashing import sha256_bytes
from unchoke.mask_heads.ablation import train_members
from unchoke.mask_heads.batches import Patches
from unchoke.mask_heads.head import TrainedMaskHead, save_mask_head
from unchoke.mask_heads.patches import split_patches
from unchoke.mask_heads.receptive_field import measure_radius_px, whole_patch_layers
from unchoke.mask_heads.task import Task
from unchoke.mask_heads.teacher_patches import teacher_patches
from unchoke.names import PIXELS
from unchoke.store.chunks import seal_file
from unchoke.store.read import FeatureStore, open_complete
from unchoke.store.run_record import task_of_labels

_LARGEST_PX = 512  # largest picture to measure a receptive field in; a larger field fits no halo


@dataclass
class Clock:
    """Seconds from the start of the training to the end of each epoch."""

    started: float = field(default_factory=time.perf_counter)
    seconds: list[float] = field(default_factory=list)

    def __call__(self, done: int, epochs: int, best: float) -> None:
        """Note the time and print the progress."""
        self.seconds.append(time.perf_counter() - self.started)
        print(f"epoch {done} of {epochs}, best mean IoU on val {best:.4f}, {self.seconds[-1]:.0f} s", flush=True)


@dataclass(frozen=True)
class Sources:
    """The sealed stores of a head's training."""

    labels: FeatureStore
    features: FeatureStore | None
    """None for a head on pixels."""
    teacher: FeatureStore | None

    @property
    def size(self) -> int:
        """Side of a patch, px."""
        return int(self.labels.seal["settings"]["size"])

    def digests(self) -> dict[str, str]:
        """SHA-256 of each seal; empty for a missing store."""
        stores = {"features": self.features, "labels": self.labels, "teacher": self.teacher}
        return {
            name: sha256_bytes(seal_file(store.path).read_bytes()) if store else "" for name, store in stores.items()
        }


def open_sources(labels: Path, features: Path | None, teacher: Path | None) -> Sources:
    """Open the stores; UnchokeError where one is incomplete."""
    return Sources(open_complete(labels), *(open_complete(path) if path else None for path in (features, teacher)))


def find_patches(
    sources: Sources, settings: dict[str, Any], manifest: Path, root: Path, max_pixels: int
) -> dict[str, Patches]:
    """Patches of ``train`` and ``val``; ``taught`` are patches with a teacher's targets, where the head distils."""
    targets = ("threshold",) if settings["loss"] == "db" else ()
    found = split_patches(sources.features, sources.labels, manifest, root, max_pixels, targets)
    if sources.teacher is None:
        return {**found}
    distilled = teacher_patches(found["train"], sources.features, sources.teacher, settings["distil"], manifest)
    return {**found, "taught": distilled}  # the results name it so


def train_mask_head(
    patches: dict[str, Patches],
    sources: Sources,
    settings: dict[str, Any],
    device: torch.device,
    states: Path | None,
    clock: Clock,
) -> TrainedMaskHead:
    """A head trained on ``patches["train"]`` and chosen on ``patches["val"]``; see ``ablation``."""
    labels = sources.labels
    task = Task(
        patches["train"],
        patches["val"],
        settings,
        len(labels.seal["settings"]["classes"]),
        device,
        data_sha256=sha256_bytes("".join(sources.digests().values()).encode()),
        teacher_patches=patches.get("taught"),
        chunk_size=labels.seal["chunk_size"],
        budget_mb=settings["memory_mb"],
        states=states,
        progress=clock,
    )
    return train_members(task)


def receptive_radius_px(head: TrainedMaskHead, encoder: Encoder | None, size: int) -> int | None:
    """Radius of the receptive field of the head behind its encoder, px; None: the whole patch.

    encoder: on the CPU; None for a head on pixels. Warns of layers whose statistics are of the whole patch.
    """
    network = head.modules()[0]
    layers = whole_patch_layers(network) + (whole_patch_layers(encoder.model) if encoder else [])
    if layers:
        print(f"warning: {', '.join(layers[:3])} normalise over the whole patch: neighbours will disagree in overlaps")

    def forward(x_13SS: torch.Tensor) -> torch.Tensor:
        if encoder is None:
            return network({PIXELS: x_13SS})  # type: ignore[no-any-return]
        return network(feature_maps(encoder.model, encoder.normalise(x_13SS.clone()), encoder.maps))  # type: ignore[no-any-return]

    fixed = encoder is not None and hasattr(encoder.model, "set_input_size")
    stride = max(head.strides.values()) if encoder else 4
    return measure_radius_px(forward, stride, size, size if fixed else max(size, _LARGEST_PX))


def save(
    head: TrainedMaskHead,
    radius_px: int | None,
    patches: dict[str, Patches],
    sources: Sources,
    group: Path,
    checkpoint: Path,
) -> None:
    """Write checkpoint and results, the metadata last."""
    sha256, features, labels = sources.digests(), sources.features, sources.labels
    facts = {
        "classes": [name for name, _ in labels.seal["settings"]["classes"]],
        "patch_px": sources.size,
        "encoder": features.seal["settings"] if features else None,
        "reach_px": radius_px,
        "features_sha256": {"identity": sha256["features"]} if features else {},
        "labels_sha256": sha256["labels"],
        **task_of_labels(labels.seal["settings"]),
        **({"teacher_sha256": sha256["teacher"]} if sources.teacher else {}),
        "patches": {split: len(part) for split, part in patches.items()},
    }
    save_mask_head(head, facts, group, checkpoint)
