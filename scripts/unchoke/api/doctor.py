"""Stage: whether this machine can run this config, in a page."""

import os
import resource
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import timm
import torch

from unchoke.api.findings import Finding, duration
from unchoke.api.image_findings import TRIED, decoding_rate, image_findings
from unchoke.api.weights_findings import unknown_models, weights_findings
from unchoke.config.caches import cache_requests
from unchoke.encoders.caches import size_of
from unchoke.encoders.maps import find_maps
from unchoke.errors import UnchokeError, UnreadableImageError
from unchoke.images.grid import Grid
from unchoke.images.windows import image_size
from unchoke.machine.devices import choose_device
from unchoke.machine.lease import holder_of
from unchoke.machine.limits import host_memory_mb
from unchoke.machine.memory import card_uuid, free_card_mb
from unchoke.machine.releases import environment
from unchoke.names import MASK_KINDS, map_name, store_name
from unchoke.progress.words import counted
from unchoke.sources.locations import fields_of
from unchoke.sources.source import Listing, list_images
from unchoke.store.chunks import seal_file
from unchoke.store.cuts import chunk_count
from unchoke.store.origin import read_origin, rounding_warnings
from unchoke.targets.heads import head_places
from unchoke.targets.stores import encoders_in_use, label_arrays

FILES_OPEN = 256  # open files of Snakemake, a worker and its threads, and some room
FINGERPRINT_BYTES = 100  # of an image, at most: two hashes and its measures
BYTES_A_FILE = 4096  # the least that a small file takes on most file systems
MIN_HOST_MB = 2048
MIN_CARD_MB = 1024  # free, where the config asks for no less: CUDA's context takes half


@dataclass(frozen=True)
class _Work:
    """What encoders have to do."""

    rows: int
    """Images, or patches of them."""
    chunks: int
    files: int
    """File targets of each array: chunks, or shards of them."""
    patch_px: int | None
    """None where whole images are encoded."""
    text: str


def examine_machine(config: dict[str, Any], results: Path, weights: dict[str, Path]) -> list[Finding]:
    """Everything that decides whether the run can be done, measured where it can be.

    config: as ``load_config`` gives it. results: the folder of results, there or not. weights: the weights file of
    every encoder, there or not.
    """
    dataset, config = config["dataset"], {**config, "encoders": encoders_in_use(config)}
    listing = list_images(dataset["kind"], Path(dataset["path"]), dataset["split"]["group"], fields_of(dataset))
    work = _work(config, listing)
    findings = [Finding("images", work.text), *image_findings(config, listing, results), _versions()]
    device = choose_device(config["gpu"]["device"])
    findings += [_host(), _device(device, config["gpu"]["vram_mb"])]
    if unknown := unknown_models(config):
        return [*findings, *(Finding("model", f"{name}: {text}", False) for name, text in unknown.items())]
    models = {name: _model(encoder["model"]) for name, encoder in config["encoders"].items()}
    findings += [_disk(config, models, work, results), _inodes(config, work, results), _open_files()]
    findings += [*_rounding(config, results), *weights_findings(config, {name: weights[name] for name in models})]
    findings += [_teacher(config["teacher"])] if config["teacher"] else []
    decoded = decoding_rate(config, listing)
    if decoded:
        findings.append(Finding("reading", _decoding_text(decoded, len(listing.images))))
    findings += [_time(name, config["encoders"][name], models[name], device, work) for name in models]
    return findings


def _decoding_text(rate: float, images: int) -> str:
    tried = f"from {min(TRIED, images)} of them, just now"
    return f"about {rate:,.0f} images/s a thread, {duration(images / rate)} for all with one ({tried})"


def _work(config: dict[str, Any], listing: Listing) -> _Work:
    """What there is to encode; of images with masks, their patches, from the headers of the files."""
    dataset, patches = config["dataset"], config["patches"]
    count = len(listing.images)
    if dataset["kind"] not in MASK_KINDS:
        chunks = chunk_count(count, config["chunk_size"])
        files = chunk_count(count, config["chunk_size"] * config["chunks_per_shard"])
        return _Work(count, chunks, files, None, f"{count:,} in {counted(chunks, 'chunks')} of {config['chunk_size']}")
    sizes = [size for image in listing.images if (size := _size(listing.root / image.path))]
    rows = sum(Grid(*size, patches["size"], patches["overlap"]).count for size in sizes)
    chunks = chunk_count(rows, patches["per_chunk"])
    unread = f", {count - len(sizes)} of them unreadable" if len(sizes) < count else ""
    text = f"{count:,}{unread}, {rows:,} patches in {counted(chunks, 'chunks')} of {patches['per_chunk']}"
    return _Work(rows, chunks, chunks, patches["size"], text)


def _size(path: Path) -> tuple[int, int] | None:
    try:
        return image_size(path)
    except UnreadableImageError:
        return None  # which the quarantine will say


def _versions() -> Finding:
    facts = environment()
    names = ("unchoke", "python", "torch", "timm", "zarr", "snakemake")
    return Finding("versions", ", ".join(f"{name} {facts[name]}" for name in names))


def _host() -> Finding:
    total_mb, free_mb = host_memory_mb(), psutil.virtual_memory().available // 2**20
    text = f"{os.cpu_count()} processors, {total_mb:,} MB of memory, {min(free_mb, total_mb):,} MB of it free now"
    return Finding("machine", f"{text}, {MIN_HOST_MB:,} MB needed", total_mb >= MIN_HOST_MB)


def _device(device: torch.device, budget_mb: int) -> Finding:
    if device.type != "cuda":
        return Finding("device", f"{device.type}; no graphics card is used")
    free_mb, total_mb = free_card_mb()
    name = torch.cuda.get_device_name(device)
    text = f"{name}: {free_mb:,.0f} of {total_mb:,.0f} MB free beside other processes, "
    text += f"budget {min(budget_mb, free_mb):,.0f} of the config's {budget_mb:,} MB"
    try:
        holder = holder_of(card_uuid())
    except UnchokeError as error:
        return Finding("device", f"{text}; {error}", False)
    if holder:
        text += f"; leased to {holder}, for which a run would wait"
    return Finding("device", text, free_mb >= min(budget_mb, MIN_CARD_MB))


def _model(name: str) -> Any:
    return timm.create_model(name, pretrained=False, num_classes=0).eval()


def _disk(config: dict[str, Any], models: dict[str, Any], work: _Work, results: Path) -> Finding:
    sizes = {name: np.dtype(encoder["store"]).itemsize for name, encoder in config["encoders"].items()}
    stored = sum(sizes[name] * _values(encoder, models[name], work) for name, encoder in config["encoders"].items())
    labels = len(label_arrays(config)) * (work.patch_px or 0) ** 2
    parts = {"features": work.rows * stored, "labels": work.rows * labels}
    parts |= _of_heads(config, work)
    parts["fingerprints"] = work.rows * FINGERPRINT_BYTES if config["cleaning"] else 0
    parts["caches"] = sum(size_of(request, work.rows).bytes for request in cache_requests(config).values())
    parts["small files"] = _n_files(config, work) * BYTES_A_FILE
    need, free = sum(parts.values()), shutil.disk_usage(_existing(results)).free
    named = ", ".join(f"{name} {size / 2**20:,.0f}" for name, size in parts.items() if size >= 2**20)
    text = f"about {need / 2**20:,.0f} MB needed{f' ({named})' if named else ''}, {free / 2**20:,.0f} MB free"
    return Finding("disk", text, need < free)


def _of_heads(config: dict[str, Any], work: _Work) -> dict[str, int]:
    """Bytes of predicted patches and of stitched masks, before compression; none where whole images are encoded."""
    if work.patch_px is None:
        return {}
    heads, probabilities = len(head_places(config)), 2 * len(config["dataset"]["classes"])  # bytes a pixel
    stitched_px = work.rows * (work.patch_px - config["patches"]["overlap"]) ** 2
    kept = 1 + (probabilities if config["segment"]["probabilities"] else 0)
    return {
        "predictions": heads * work.rows * work.patch_px**2 * probabilities,
        "masks": heads * stitched_px * kept,
    }


def _values(encoder: dict[str, Any], model: Any, work: _Work) -> int:
    """Numbers that an encoder gives for a row of its store."""
    if work.patch_px is None:
        return int(model.num_features) * len(encoder["pools"]) * len(encoder["views"])
    places = find_maps(model, encoder["strides"])
    channels = {stride: model.feature_info[places[map_name(stride)]]["num_chs"] for stride in encoder["strides"]}
    return sum(width * (work.patch_px // stride) ** 2 for stride, width in channels.items())


def _inodes(config: dict[str, Any], work: _Work, results: Path) -> Finding:
    need, free = _n_files(config, work), os.statvfs(_existing(results)).f_favail
    unlimited = free == 0 and os.statvfs(_existing(results)).f_files == 0  # as on btrfs
    return Finding(
        "files", f"about {need:,} to be made, {'no limit' if unlimited else f'{free:,} free'}", unlimited or need < free
    )


def _n_files(config: dict[str, Any], work: _Work) -> int:
    """Rows, and for each store chunks of every array with their folders, validity, record and log."""
    if work.patch_px is None:
        each = [len(encoder["views"]) * (2 * len(encoder["pools"]) + 3) for encoder in config["encoders"].values()]
    else:
        maps = [len(encoder["strides"]) for encoder in config["encoders"].values()]
        each = [4 * arrays + 3 for arrays in (len(label_arrays(config)), *maps)]
    return work.chunks + work.files * sum(each)


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Finding("open files", f"{soft:,} may be open at once, {FILES_OPEN} needed (ulimit -n)", soft >= FILES_OPEN)


def _rounding(config: dict[str, Any], results: Path) -> Iterator[Finding]:
    """What rounding costs in each store that is sealed."""
    for name, encoder in config["encoders"].items():
        for view in encoder["views"]:
            store = results / "features" / f"{store_name(name, view)}.zarr"
            if not seal_file(store).exists():
                continue
            try:
                warnings = rounding_warnings(read_origin(store))
            except UnchokeError as error:
                yield Finding("features", f"{store.stem}: {error}", False)
            else:
                yield from (Finding("features", f"{store.stem}: warning: {text}") for text in warnings)


def _teacher(teacher: dict[str, Any]) -> Finding:
    missing = [teacher[key] for key in ("file", "checkpoint") if not Path(teacher[key]).exists()]
    text = f"missing: {', '.join(missing)}" if missing else f"{teacher['file']} with {teacher['checkpoint']}"
    return Finding("teacher", text, not missing)


def _time(name: str, encoder: dict[str, Any], model: Any, device: torch.device, work: _Work) -> Finding:
    """From two batches of noise, the first one to warm up; reading goes on beside it."""
    size = work.patch_px or encoder["image_size"] or model.pretrained_cfg["input_size"][-1]
    if hasattr(model, "set_input_size"):
        model.set_input_size(img_size=(size, size))
    batch = min(encoder["micro_batch"], 16)
    model = model.to(device).to(memory_format=torch.channels_last)
    images = torch.rand(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast(device.type, torch.float16, enabled=device.type == "cuda"):
        for _ in range(2):
            started = time.perf_counter()
            float(model.forward_features(images).float().sum())
            seconds = time.perf_counter() - started
    rate = batch / seconds
    whole = duration(work.rows * len(encoder["views"]) / rate)
    told = f"about {rate:,.0f} images/s on {device.type}, {whole} for all (from a batch of {batch} of noise, just now)"
    return Finding("time", f"{name}: {told}")


def _existing(folder: Path) -> Path:
    return next(place for place in [folder, *folder.absolute().parents] if place.exists())
