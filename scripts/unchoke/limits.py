"""What the jobs of one run may take together, and the refusal of what could never fit."""

import os

from unchoke.errors import UnchokeError


def resource_limits(given: dict[str, int | None], budget_mb: int, host_mb: int) -> dict[str, int]:
    """Limits of gpu, vram_mb and mem_mb: those of the command line, and ours where it gives none.

    given: limits of the command line. budget_mb: gpu.vram_mb of the config. host_mb: memory of the machine.
    Snakemake would run a job that asks for more than its limit as if it asked for the limit, and jobs side by side
    under a limit of 0: both raise UnchokeError here.
    """
    limits = {"gpu": 1, "vram_mb": budget_mb, "mem_mb": host_mb} | {
        name: value for name, value in given.items() if value is not None
    }
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


def host_memory_mb() -> int:
    """Memory of this machine, MB of 2**20 bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
