"""Train a network with one learning rate, weight decay and seed; after a kill it goes on where it stopped."""

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import device_of
from unchoke.machine.receipts import read_json
from unchoke.networks.cards import same_command, shared_steps
from unchoke.networks.choose import write_member
from unchoke.networks.member import train_member
from unchoke.networks.sources import add_network_flags, open_sources, task_of
from unchoke.networks.step_log import StepLog


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_network_flags(parser)
    parser.add_argument("--start", type=Path, help="checkpoint of the head that the classifier begins with")
    parser.add_argument("--rate", type=float, required=True, help="learning rate")
    parser.add_argument("--decay", type=float, required=True, help="weight decay")
    parser.add_argument("--seed", type=int, required=True, help="seed of first weights, order and augmentation")
    parser.add_argument("--plan", type=Path, required=True, help="JSON file with the micro-batch")
    parser.add_argument("--member", type=Path, required=True, help="safetensors file to write the weights to")
    parser.add_argument("--steps", type=Path, required=True, help="CSV to write a row a step to")
    args = parser.parse_args(argv)
    started, device, states = time.perf_counter(), device_of(args), args.member.with_suffix(".states")
    task = task_of(open_sources(args), args.settings, device, args.start)
    log = StepLog(args.steps, task.steps, args.settings["epochs"])
    setting = args.rate, args.decay, args.seed, read_json(args.plan)["micro_batch"]
    with shared_steps(args.settings["cards"], device, same_command(sys.argv)) as cards:
        member = train_member(task, *setting, states, log, cards)
    if cards.rank:
        return
    write_atomic(args.steps, args.steps.read_bytes())  # its rows were appended one by one
    write_member(args.member, member, time.perf_counter() - started, device)
    shutil.rmtree(states, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(run(main))
