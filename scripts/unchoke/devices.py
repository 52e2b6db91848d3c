"""Which device computes."""

import argparse

import torch

from unchoke.errors import UnchokeError


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
    parser.add_argument("--threads", type=int, default=8, help="threads that decode, and that compute on the CPU")


def device_of(args: argparse.Namespace) -> torch.device:
    """The device that the flags ask for; torch is held to their number of threads."""
    torch.set_num_threads(args.threads)
    return choose_device(args.device)
