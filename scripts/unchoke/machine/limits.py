"""Limits on the resources of all jobs of a run, and the refusal of jobs that could never fit."""

import os
from pathlib import Path
from typing import Any

from unchoke.errors import UnchokeError, mend
from unchoke.signed import read_signed

VRAM_MB = 4096
"""Default of the card's memory that may be used, MiB."""


def resource_limits(given: dict[str, int | None], budget_mb: int, host_mb: int) -> dict[str, int]:
    """Limits of gpu, vram_mb and mem_mb: the command line's, else our own.

    given: limits of the command line. budget_mb: gpu.vram_mb of the config, for each card. host_mb: memory of the
    machine. Snakemake would run a job above the limit as if it asked for the limit, and all jobs at once under a limit
    of 0. Both raise UnchokeError here.
    """
    stated = {name: value for name, value in given.items() if value is not None}
    limits = {"gpu": 1, "vram_mb": stated.get("gpu", 1) * budget_mb, "mem_mb": host_mb} | stated
    if limits["gpu"] < 1:
        raise UnchokeError(
            "gpu=0 would let all GPU jobs run side by side.",
            found="--resources gpu=0",
            expected="gpu=1",
            do="leave it out, or set gpu.device: cpu in the config to compute without a card",
        )
    if limits["vram_mb"] < budget_mb:
        raise UnchokeError(
            "The rules extract_chunk, plan_memory and train_head cannot fit.",
            found=f"a need of {budget_mb} MB of the card (gpu.vram_mb), a limit of {limits['vram_mb']} MB",
            expected="a limit as large as the need",
            do="lower gpu.vram_mb in the config, or raise --resources vram_mb",
        )
    return limits


def measured_peaks(plan: Path) -> dict[str, Any]:
    """The measured peaks of a memory plan, from the file beside it; see ``scripts/plan_memory.py``.

    Raises FileNotFoundError where there is no plan yet, and UnchokeError where only the plan is there.
    """
    peaks = plan.with_suffix(".peaks.json")
    if not plan.exists() and not peaks.exists():
        raise FileNotFoundError(plan)
    return read_signed(peaks, "measurement of a memory plan", mend(plan), unsigned=lambda peaks: "peaks_mb" in peaks)


def planned_batch(plan: Path) -> int:
    """The micro-batch of a memory plan; UnchokeError where the file is missing or changed."""
    content = read_signed(plan, "memory plan", unsigned=lambda content: set(content) == {"micro_batch"})
    return int(content["micro_batch"])


def threads_of_job(wanted: int, cores: int | None, gpu: int) -> int:
    """Threads of a job on a card, so that one job for each card fits the cores.

    wanted: decoding.threads of the config. cores: those of the run; None on a cluster, whose jobs have their own.
    gpu: the limit on cards.
    """
    return wanted if cores is None else min(wanted, max(1, cores // gpu))


def refuse_missing_cards(gpu: int, cards: int) -> None:
    """UnchokeError where a run asks for more cards than the machine shows: jobs beyond them would compute on the CPU.

    A machine without any is not refused: `gpu` workers then share its processors.
    """
    if 0 < cards < gpu:
        raise UnchokeError(
            "There are fewer graphics cards than the run asks for.",
            found=f"{cards} visible",
            expected=f"--resources gpu={gpu}",
            do=f"run with --resources gpu={cards}, or show more cards by CUDA_VISIBLE_DEVICES",
        )


def announce_cards(count: int) -> None:
    """Tell the clients of all jobs, through the environment, how many cards the run may use at once."""
    os.environ["UNCHOKE_CARDS"] = str(count)


def visible_cards() -> int:
    """How many graphics cards of this machine CUDA_VISIBLE_DEVICES shows; 0 where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    return int(pynvml.nvmlDeviceGetCount()) if shown is None else sum(map(bool, shown.split(",")))


def host_memory_mb() -> int:
    """Memory of this machine, MB of 2**20 bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
