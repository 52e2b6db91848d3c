"""Measure how many images of a network's training fit the memory at once, and say how long the training will take."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.files import json_bytes, write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import device_of
from unchoke.machine.memory import budget_of, meter_of
from unchoke.networks.plan import plan_network
from unchoke.networks.sources import add_network_flags, open_sources, task_of


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_network_flags(parser)
    parser.add_argument("--plan", type=Path, required=True, help="JSON file to write the micro-batch to")
    args = parser.parse_args(argv)
    device = device_of(args)
    task = task_of(open_sources(args), args.settings, device, None)
    meter = meter_of(device)
    plan = plan_network(task, meter, budget_of(meter, args.vram_mb))
    write_atomic(args.plan, json_bytes(plan))
    print(
        f"{plan['micro_batch']} images at once take {plan['peak_mb']:.0f} MB; about {plan['minutes']:.1f} minutes for "
        f"{task.members} trainings of {task.steps} steps"
    )


if __name__ == "__main__":
    sys.exit(run(main))
