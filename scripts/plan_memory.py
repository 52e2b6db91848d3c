"""Measure the largest micro-batch of an encoder within the memory budget."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.encoders.encoder import keep_encoder
from unchoke.encoders.plan import add_array_flags, add_encoder_flags, plan_memory
from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import device_of
from unchoke.machine.memory import Host, budget_of, meter_of
from unchoke.signed import signed_bytes


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_encoder_flags(parser)
    add_array_flags(parser)
    parser.add_argument("--micro-batch", type=int, required=True, help="images at once, at most")
    parser.add_argument("--peaks", type=Path, required=True, help="JSON file to write the measured peaks to")
    args = parser.parse_args(argv)
    device, source = device_of(args), (args.weights, args.card, args.image_size, args.pools)
    encoder = keep_encoder(*source, device, args.precision, args.vram_mb, args.strides)
    meter = meter_of(device)
    plan = plan_memory(encoder, meter, budget_of(meter, args.vram_mb), args.micro_batch)
    write_atomic(args.peaks, signed_bytes({**plan, "host_mb": Host().peak_mb()}))
    write_atomic(args.plan, signed_bytes({"micro_batch": plan["micro_batch"]}))
    print(f"{plan['model']}: {plan['micro_batch']} images at once, peak {plan['peak_mb']:.0f} MB on {plan['device']}")


if __name__ == "__main__":
    sys.exit(run(main))
