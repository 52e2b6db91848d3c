"""The choice and the lease of the device that computes."""

import argparse

import torch

from unchoke.errors import UnchokeError
from unchoke.machine.lease import take_lease
from unchoke.machine.limits import VRAM_MB
from unchoke.machine.memory import card_uuid, keep_budget, meter_of


def choose_device(name: str) -> torch.device:
    """The device for ``gpu.device``: `auto` is cuda, else mps, else cpu; UnchokeError where the named one is absent."""
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device in present if present[device])
    if not present[name]:
        raise UnchokeError(
            f"There is no device '{name}' here.",
            found=f"devices {', '.join(device for device in present if present[device])}",
            expected=f"gpu.device: {name}, as the config asks",
            do="set gpu.device: auto, or run on a machine that has one",
        )
    return torch.device(name)


def add_device_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every command that computes; ``device_of`` reads them."""
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--vram-mb", type=float, default=VRAM_MB, help="memory of the card that may be used, MB")
    parser.add_argument("--threads", type=int, default=8, help="threads that decode, and that compute on the CPU")


def device_of(args: argparse.Namespace) -> torch.device:
    """The device of the flags, leased, with its memory limited to the budget, and torch to the number of threads."""
    torch.set_num_threads(args.threads)
    return lease_device(args.device, args.vram_mb)


def lease_device(name: str = "auto", budget_mb: float = VRAM_MB) -> torch.device:
    """A device for this process alone: waits while another process has the card, then keeps to `budget_mb` of it.

    Notebooks call it too. CPUs are shared; only cards are leased, until the process ends.
    """
    device = choose_device(name)
    if device.type == "cuda":
        take_lease(card_uuid())
        keep_budget(meter_of(device), budget_mb)
    return device
