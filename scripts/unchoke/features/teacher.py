"""Stage: a teacher's outputs for patches, pixel probabilities from its logits, results in the form of a mask head's."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from unchoke import versions
from unchoke.encoders.teacher import LOGITS, Teacher
from unchoke.features.chunk import Extraction, write_chunk
from unchoke.features.patches import extract_patches
from unchoke.hashing import sha256_bytes
from unchoke.manifest.images import in_use
from unchoke.names import SPLITS, TEACHER
from unchoke.store import chunks
from unchoke.store.read import read_seal
from unchoke.store.run_record import task_of_labels, write_run
from unchoke.store.tables import MANIFEST_COLUMNS, PATCH_ROW_COLUMNS, read_rows, read_table
from unchoke.store.zarr_bytes import MemoryGroup, place_group


def run_teacher(
    store: Path, chunk: int, rows_file: Path, root: Path, teacher: Teacher, settings: Extraction, threads: int
) -> None:
    """Write a chunk of the teacher's outputs, for the patches in `rows_file`; image paths are below `root`."""
    outputs = extract_patches(read_rows(rows_file, PATCH_ROW_COLUMNS), root, teacher, settings, threads)
    write_chunk(store, chunk, rows_file, outputs, teacher_settings(teacher, settings))


def teacher_settings(teacher: Teacher, settings: Extraction) -> dict[str, Any]:
    """The settings that the bytes of a chunk depend on, as ``features.chunk.chunk_settings`` has them for encoders."""
    return {
        "version": versions.TEACHER,
        "model": teacher.file.stem,
        "trained": True,
        **teacher.sha256,
        "image_size": teacher.image_size,
        "classes": teacher.n_classes,
        "pools": sorted(teacher.arrays),
        "precision": "float32",
        "device": teacher.device.type,
        **settings.facts(),
    }


def predict_teacher(store: Path, chunk: int, size: int) -> NDArray[np.float16]:
    """Probabilities of the pixels of a chunk of patches, from the teacher's logits, float16 (N, K, size, size).

    Logits are resized to the pixels bilinearly. NaN for a patch that could not be read.
    """
    arrays = chunks.read_chunk(store, chunk)
    logits_NKhw = torch.from_numpy(arrays[LOGITS]).float()
    logits_NKSS = interpolate(logits_NKhw, (size, size), mode="bilinear", align_corners=False)
    found: NDArray[np.float16] = logits_NKSS.softmax(1).half().numpy()
    found[~arrays[chunks.VALID]] = np.nan
    return found


def describe_teacher(store: Path, labels: Path, manifest: Path, group: Path, run: Path) -> dict[str, Any]:
    """Write and return the teacher's results in the form of a mask head's: without training, with the whole patch seen.

    store, labels: sealed. run: JSON file for the time of all patches, and the environment.
    """
    seal, label_seal = (read_seal(path) for path in (store, labels))
    digests = [sha256_bytes(chunks.seal_file(path).read_bytes()) for path in (store, labels)]
    splits = in_use(read_table(manifest, MANIFEST_COLUMNS))["split"]
    facts = {
        "version": versions.MASK_HEADS,
        "settings": {"kind": TEACHER},
        "classes": [name for name, _ in label_seal["settings"]["classes"]],
        "patch_px": label_seal["settings"]["size"],
        "encoder": seal["settings"],
        "reach_px": None,
        "features_sha256": {"identity": digests[0]},
        "labels_sha256": digests[1],
        **task_of_labels(label_seal["settings"]),
        "images": {split: 0 if split == "train" else int((splits == split).sum()) for split in SPLITS},
        "chosen": {},
        "history": {"val_iou": []},
        "replicates": 1,
        "checkpoint_sha256": seal["settings"]["weights_sha256"],
    }
    place_group(MemoryGroup(facts).contents(), group)
    seconds = sum(chunks.read_record(store, chunk)["seconds"]["total"] for chunk in range(len(seal["rows_sha256"])))
    write_run(run, seconds, seal["settings"]["device"])
    return facts
