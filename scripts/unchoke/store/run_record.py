"""The one owner of finished runs on disk: the files that the training of a head writes.

heads/<encoder>.zarr/<head>/                facts and arrays: settings, classes, trials (history), choice, digests
checkpoints/<encoder>/<head>.safetensors    the weights of all replicates
runs/<encoder>/<head>.json                  facts that differ between runs: seconds, releases, machine
members/<network>/<rate, decay, seed>.*     of networks: weights and steps of each training
scores/<encoder>/<head>.json                of heads that predict masks: counts of every image, and figures
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from unchoke import versions
from unchoke.files import write_atomic
from unchoke.hashing import canonical_json, sha256_bytes
from unchoke.machine.releases import environment
from unchoke.names import CLASSIFICATION, IMAGE_TASKS, store_name
from unchoke.signed import read_signed, signed_bytes
from unchoke.store import chunks
from unchoke.store.read import read_seal
from unchoke.store.zarr_bytes import METADATA, MemoryGroup, place_group, read_facts

if TYPE_CHECKING:
    import pandas as pd

    from unchoke.store.checkpoints import Tensors

SEGMENTATION, DETECTION = "segmentation", "detection"
TASKS = (*IMAGE_TASKS, SEGMENTATION, DETECTION)
NETWORK = "network"
"""The kind of a head that is a network, in its settings."""


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Flags for the outputs of a training: ``--group``, ``--checkpoint``, ``--run``."""
    parser.add_argument("--group", type=Path, required=True, help="Zarr group to write the results to")
    parser.add_argument("--checkpoint", type=Path, required=True, help="safetensors file to write the head to")
    parser.add_argument("--run", type=Path, required=True, help="JSON file for time and environment")


def write_results(
    group: Path,
    checkpoint: Path,
    replicates: Sequence["Tensors"],
    described: dict[str, Any],
    facts: dict[str, Any],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Write the checkpoint as safetensors, then the results as a Zarr group whose metadata comes last.

    described: facts for both files. facts, arrays: by name, for the group alone.
    """
    from unchoke.store.checkpoints import write_checkpoint  # torch is slow to import, and readers of results do without

    sha256 = write_checkpoint(checkpoint, replicates, described)
    own = {"replicates": len(replicates), "checkpoint_sha256": sha256}
    results = MemoryGroup(json.loads(canonical_json({**facts, **described, **own})))
    for name, array in arrays.items():
        results.root.create_array(name, data=array)
    place_group(results.contents(), group)


def write_run(path: Path, seconds: float, device: str, **times: Any) -> None:
    """Write the facts that differ between runs, apart from the results: times, machine, releases, commit."""
    facts = {**environment(), "device": device}
    write_atomic(path, signed_bytes({"seconds": seconds, "environment": facts, **times}))


def read_run(path: Path) -> dict[str, Any]:
    """The record of ``write_run``; UnchokeError where it is missing or changed."""
    return read_signed(path, "record of a training")


def read_scores(path: Path) -> dict[str, Any]:
    """The scores of a mask head; UnchokeError where they are missing or changed."""
    return read_signed(path, "scores file of a mask head")


def counts_of_test(scores: dict[str, Any], counts: str = "counts") -> dict[int, Any]:
    """Of every test image that could be read throughout: pixels by true and predicted class, K lists of K.

    counts: the entry of an image; ``counts_of_words`` has those of ``metrics.h_mean``, S lists of 3.
    """
    images = scores["images"].items()
    return {int(name): one[counts] for name, one in images if one["split"] == "test" and not one["unread_px"]}


def task_of_labels(settings: Mapping[str, Any]) -> dict[str, str]:
    """The fact ``task`` of a head with these settings, or whose labels have them; none for classes and for masks."""
    return {"task": settings["task"]} if "task" in settings else {}


def steps_file(results: Path, network: str, member: str) -> Path:
    """The table of one training of a network, a row a step."""
    return results / "members" / network / f"{member}.steps.csv"


@dataclass(frozen=True)
class RunRecord:
    """A finished run: one head on the features of one encoder. Files are read when they are asked for."""

    results: Path
    """The dataset's folder."""
    encoder: str
    head: str
    repeat: int = 0
    """Of the split; those above 0 lie in a folder of their own."""

    @property
    def folder(self) -> Path:
        """Where what the training left lies."""
        return self.results / "repeats" / str(self.repeat) if self.repeat else self.results

    @property
    def group(self) -> Path:
        """Folder of the facts and arrays."""
        return self.folder / "heads" / f"{self.encoder}.zarr" / self.head

    @property
    def checkpoint(self) -> Path:
        """The file of the weights, which may have been deleted."""
        return self.folder / "checkpoints" / self.encoder / f"{self.head}.safetensors"

    @property
    def files(self) -> dict[str, tuple[Path, str]]:
        """Path and sha256 of the results and of the checkpoint."""
        metadata = self.group / METADATA
        digests = sha256_bytes(metadata.read_bytes()), self.facts["checkpoint_sha256"]
        return dict(zip(("results", "checkpoint"), zip((metadata, self.checkpoint), digests, strict=True), strict=True))

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Settings, classes, history, choice, digests."""
        return read_facts(self.group)

    @property
    def task(self) -> str:
        """What the head predicts, one of ``TASKS``."""
        default = SEGMENTATION if "labels_sha256" in self.facts else CLASSIFICATION
        return str(self.facts.get("task", default))

    @cached_property
    def run(self) -> dict[str, Any]:
        """Seconds and environment."""
        return read_run(self._json("runs"))

    @property
    def steps(self) -> dict[str, "pd.DataFrame"]:
        """Of a network the steps of the trainings of its chosen setting, by their names; see ``steps_file``."""
        from unchoke.store.tables import STEP_COLUMNS, read_table  # pandas is slow to import, and heads have no steps

        files = {name: steps_file(self.results, self.head, name) for name in self.run.get("members", [])}
        return {name: read_table(file, STEP_COLUMNS) for name, file in files.items()}

    @cached_property
    def scores(self) -> dict[str, Any] | None:
        """Of the stitched masks; None where there are none."""
        return read_scores(self._json("scores")) if self._json("scores").exists() else None

    @property
    def figures(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Figures by split and name, of a class ``<name>.<class>``. Empty where masks have no scores."""
        if self.task in IMAGE_TASKS:
            return self.facts["metrics"]  # type: ignore[no-any-return]
        return self.scores["figures"] if self.scores else {}

    @property
    def trials(self) -> list[tuple[dict[str, Any], float | None]]:
        """Every setting that was tried, with the figure by which the head was chosen."""
        history = self.facts["history"]
        score_name = next(name for name in history if name.startswith("val_"))
        tried = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
        return [(settings, settings.pop(score_name)) for settings in tried]

    @property
    def seal(self) -> dict[str, Any]:
        """The seal of one of the stores that the head was trained on."""
        return read_seal(self._store(min(self.facts["features_sha256"])))

    @property
    def is_current(self) -> bool:
        """Whether this version wrote it, from the features that the stores hold now."""
        if self.facts["version"] != self._version or not self._json("runs").exists():
            return False
        seals = {chunks.seal_file(self._store(view)): sha256 for view, sha256 in self.facts["features_sha256"].items()}
        return all(seal.exists() and sha256_bytes(seal.read_bytes()) == sha256 for seal, sha256 in seals.items())

    @property
    def _version(self) -> int:
        """Of what writes such runs today."""
        if self.task not in IMAGE_TASKS:
            return versions.MASK_HEADS
        return versions.NETWORKS if self.facts["settings"]["kind"] == NETWORK else versions.HEADS

    def _json(self, folder: str) -> Path:
        return self.folder / folder / self.encoder / f"{self.head}.json"

    def _store(self, view: str) -> Path:
        """Networks name the store that they read; heads read that of their encoder."""
        return self.results / "features" / f"{store_name(self.facts.get('store', self.encoder), view)}.zarr"


def run_of(path: Path) -> RunRecord:
    """The run whose record of time and machine lies at `path`, runs/<encoder>/<head>.json."""
    return RunRecord(path.parents[2], path.parent.name, path.stem)


def find_runs(results: Path) -> list[RunRecord]:
    """All finished runs below the dataset's folder, by encoder and head; some may be of another version."""
    groups = sorted(file.parent for file in (results / "heads").glob(f"*.zarr/[!.]*/{METADATA}"))
    return [RunRecord(results, group.parent.stem, group.name) for group in groups]
