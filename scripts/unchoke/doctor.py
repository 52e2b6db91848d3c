"""Stage: whether this machine can run this config, in a page."""

import os
import resource
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch

from unchoke.devices import choose_device
from unchoke.lease import holder_of
from unchoke.limits import host_memory_mb
from unchoke.memory import card_uuid, free_card_mb
from unchoke.provenance import environment
from unchoke.sources import list_images

FILES_OPEN = 256  # what Snakemake, a worker and its threads hold open at once, and some room
BYTES_A_FILE = 4096  # the least that a small file takes on most file systems
MIN_HOST_MB = 2048


@dataclass(frozen=True)
class Finding:
    """One line of the page."""

    subject: str
    text: str
    fine: bool = True


def examine(config: dict[str, Any], results: Path, weights: dict[str, Path]) -> list[Finding]:
    """Everything that decides whether the run can be done, measured where it can be.

    config: as ``load_config`` gives it. results: the folder of results, there or not. weights: the weights file of
    every encoder, there or not.
    """
    dataset = config["dataset"]
    n_images = len(list_images(dataset["kind"], Path(dataset["path"]), dataset["split"]["group"]).images)
    n_chunks = -(-n_images // config["chunk_size"])
    findings = [Finding("images", f"{n_images:,} in {n_chunks:,} chunks of {config['chunk_size']}"), _versions()]
    device = choose_device(config["gpu"]["device"])
    findings += [_host(), _device(device, config["gpu"]["vram_mb"])]
    models = {name: _model(encoder["model"]) for name, encoder in config["encoders"].items()}
    findings += [_disk(config, models, n_images, n_chunks, results), _inodes(config, n_chunks, results), _open_files()]
    findings += [_weights(name, config["encoders"][name], path) for name, path in weights.items()]
    findings += [_time(name, config["encoders"][name], models[name], device, n_images) for name in models]
    return findings


def page(findings: list[Finding]) -> str:
    """The findings for a terminal, with a mark before those that stand in the way."""
    width = max(len(finding.subject) for finding in findings)
    lines = [f"{'  ' if found.fine else '! '}{found.subject.ljust(width)}  {found.text}" for found in findings]
    stops = sum(not finding.fine for finding in findings)
    verdict = f"{stops} of these must be mended first." if stops else "This machine can run this config."
    return "\n".join([*lines, "", verdict])


def _versions() -> Finding:
    facts = environment()
    names = ("unchoke", "python", "torch", "timm", "zarr", "snakemake")
    return Finding("versions", ", ".join(f"{name} {facts[name]}" for name in names))


def _host() -> Finding:
    total_mb = host_memory_mb()
    text = f"{os.cpu_count()} processors, {total_mb:,} MB of memory"
    return Finding("machine", f"{text}, {MIN_HOST_MB:,} MB needed", total_mb >= MIN_HOST_MB)


def _device(device: torch.device, budget_mb: int) -> Finding:
    if device.type != "cuda":
        return Finding("device", f"{device.type}; no graphics card is used")
    free_mb, total_mb = free_card_mb()
    name = torch.cuda.get_device_name(device)
    text = f"{name}: {free_mb:,.0f} of {total_mb:,.0f} MB free beside other processes, budget {budget_mb:,} MB"
    if holder := holder_of(card_uuid()):
        text += f"; leased to {holder}, for which a run would wait"
    return Finding("device", text, free_mb >= 0.9 * min(budget_mb, total_mb))


def _model(name: str) -> Any:
    return timm.create_model(name, pretrained=False, num_classes=0).eval()


def _disk(config: dict[str, Any], models: dict[str, Any], n_images: int, n_chunks: int, results: Path) -> Finding:
    features = sum(
        n_images * models[name].num_features * len(encoder["pools"]) * len(encoder["views"]) * 2
        for name, encoder in config["encoders"].items()
    )
    need = features + _n_files(config, n_chunks) * BYTES_A_FILE
    free = shutil.disk_usage(_existing(results)).free
    return Finding("disk", f"about {need / 2**20:,.0f} MB needed, {free / 2**20:,.0f} MB free", need < free)


def _inodes(config: dict[str, Any], n_chunks: int, results: Path) -> Finding:
    need, free = _n_files(config, n_chunks), os.statvfs(_existing(results)).f_favail
    unlimited = free == 0 and os.statvfs(_existing(results)).f_files == 0  # as on btrfs
    return Finding(
        "files", f"about {need:,} to be made, {'no limit' if unlimited else f'{free:,} free'}", unlimited or need < free
    )


def _n_files(config: dict[str, Any], n_chunks: int) -> int:
    """Rows, and for each view of an encoder chunks of every pool with their folder, validity, record and log."""
    each = [len(encoder["views"]) * (2 * len(encoder["pools"]) + 3) for encoder in config["encoders"].values()]
    return n_chunks * (1 + sum(each))


def _open_files() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Finding("open files", f"{soft:,} may be open at once, {FILES_OPEN} needed (ulimit -n)", soft >= FILES_OPEN)


def _weights(name: str, encoder: dict[str, Any], path: Path) -> Finding:
    if path.exists():
        return Finding("weights", f"{name}: {path}")
    origin = encoder["weights"]
    if origin == "pretrained":
        return Finding("weights", f"{name}: to be fetched from the hub, which needs a network, to {path}")
    if origin == "untrained":
        return Finding("weights", f"{name}: to be drawn from seed {encoder['seed']}")
    return Finding(
        "weights", f"{name}: {origin}{'' if Path(origin).exists() else ' is missing'}", Path(origin).exists()
    )


def _time(name: str, encoder: dict[str, Any], model: Any, device: torch.device, n_images: int) -> Finding:
    """From two batches of noise, the first one to warm up; decoding may add to it."""
    size = encoder["image_size"] or model.pretrained_cfg["input_size"][-1]
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
    whole = _duration(n_images * len(encoder["views"]) / rate)
    return Finding("time", f"{name}: about {rate:,.0f} images/s on {device.type}, {whole} for all")


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return (
        f"{minutes // 60} h {minutes % 60:02d} min"
        if minutes >= 60
        else f"{minutes} min"
        if minutes
        else "under a minute"
    )


def _existing(folder: Path) -> Path:
    return next(place for place in [folder, *folder.absolute().parents] if place.exists())
