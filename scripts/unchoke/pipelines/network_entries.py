"""The ways in which a network is trained side by side: the config's, and each other setting that is tried."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch.utils._triton import has_triton

from unchoke.encoders.compiled import why_eager
from unchoke.encoders.encoder import PRECISIONS
from unchoke.networks.build import ALL, sees_pixels
from unchoke.pipelines.entries import Need, Pipeline, files_alone
from unchoke.pipelines.network_images import Caches, Loader, Source
from unchoke.pipelines.network_work import NetworkWork
from unchoke.pipelines.peers import PREFETCH
from unchoke.pipelines.table import TRAINING
from unchoke.pipelines.tuning import FACTORS
from unchoke.pipelines.work import Work

NO_SETTING = "no setting: the plan of a network measures it"
CACHES = {"activations": "cached activations", "none": "frozen part in each step, on cached pixels"}


@dataclass(frozen=True)
class NetworkPipeline(Pipeline):
    """One row; ``encoder`` has keys of the network. Only its later epochs count: a training has many."""

    source: Source = field(default_factory=Caches)
    is_setting: bool = True
    """Whether the config can choose it."""
    task: str = TRAINING
    compared: str = "warm_s"

    def chosen(self, work: Work) -> dict[str, Any]:
        """As of ``Pipeline``."""
        return {"network": json.dumps(self.tuned(work).keys())} if self.is_setting else {}

    def prepare(self, work: Work) -> None:
        """As of ``Pipeline``."""
        source, own = training_of(self, work)
        source.prepare(own)

    def told(self, work: Work) -> str:
        """Its settings in words; `work` is the tuned one."""
        assert isinstance(work, NetworkWork)
        numbers = {"threads": work.threads, "batch": work.network_batch, "steps": work.network["batch_size"]}
        return self.settings.format(**numbers)


def network_of(work: Work) -> dict[str, Any]:
    """The network's section of the config."""
    assert isinstance(work, NetworkWork)
    return work.network


def training_of(pipeline: Pipeline, work: Work) -> tuple[Source, NetworkWork]:
    """The source of a row, and the work with its keys."""
    own = pipeline.tuned(work)
    assert isinstance(pipeline, NetworkPipeline) and isinstance(own, NetworkWork)
    return pipeline.source, own


def network_pipelines(work: NetworkWork) -> tuple[NetworkPipeline, ...]:
    """The first is the config's own, with which the others are compared."""
    name, cut = work.name, work.network["blocks"] != ALL
    reads = CACHES[work.network["cache"]] if cut else "cached pixels"
    told = f"{reads}, micro-batches of {{batch}} as planned, steps of {{steps}}"
    first = NetworkPipeline(f"{name}: default", told)

    def other(what: str, settings: str, *needs: Need, **keys: Any) -> NetworkPipeline:
        return replace(first, name=f"{name}: {what}", settings=settings, encoder=tuple(keys.items()), needs=needs)

    told = f"micro-batches of {{batch}}; {NO_SETTING}"
    sized = [other(f"micro-batches of {size}", told, micro_batch=size) for size in _sizes(work)]
    sizes = [replace(row, is_setting=False) for row in sized]
    precisions = [
        other(f"precision {precision}", f"arithmetic in {precision} (autocast)", _card_alone, precision=precision)
        for precision in PRECISIONS
        if precision != work.network["precision"]
    ]
    eager = work.network["compile"]
    compiled = other(*(_EAGER if eager else _COMPILED), *(() if eager else (_compiler,)), compile=not eager)
    caches = [_other_cache(work, other)] if cut else []
    return (first, *sizes, *precisions, compiled, *caches, _loader(work, other))


_EAGER = ("not compiled", "as the first row, without torch.compile")
_COMPILED = ("compiled", "as the first row, with torch.compile")


def _sizes(work: NetworkWork) -> list[int]:
    """Other micro-batches, up to the images of a step."""
    sizes = {int(factor * work.network_batch) for factor in FACTORS}
    return sorted(size for size in sizes if 1 <= size <= work.network["batch_size"])


def _other_cache(work: NetworkWork, other: Callable[..., NetworkPipeline]) -> NetworkPipeline:
    cache, need = ("none", _one_view) if work.network["cache"] == "activations" else ("activations", _as_they_are)
    return other(CACHES[cache].partition(",")[0], CACHES[cache], need, cache=cache)


def _loader(work: NetworkWork, other: Callable[..., NetworkPipeline]) -> NetworkPipeline:
    """Files that workers decode in each epoch; what is frozen runs in each step."""
    keys = {} if sees_pixels(work.network) else {"cache": "none"}
    return replace(other("PyTorch DataLoader", _LOADER, files_alone, **keys), source=Loader(), is_setting=False)


_LOADER = f"{{threads}} workers decode files in each epoch, prefetch_factor {PREFETCH}, not pinned; no setting"


def _card_alone(work: Work) -> str:
    return "" if work.device == "cuda" else "processors compute in float32"


def _compiler(work: Work) -> str:
    if work.device == "cpu":
        return why_eager(torch.device("cpu"))
    return "" if has_triton() else "torch compiles for cards by Triton, which is not there"


def _one_view(work: Work) -> str:
    network = network_of(work)
    views = {*network["train_views"], *network["test_views"]}
    return "" if views == {"identity"} else "train_views are of cached activations; pixels have augment"


def _as_they_are(work: Work) -> str:
    return "augment needs pixels, and activations are cached before it" if network_of(work)["augment"] else ""
