"""Choose a network's setting on val, and report once on test: what it leaves is what a head leaves."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import device_of
from unchoke.metrics.classification import SPOKEN
from unchoke.names import member_name
from unchoke.networks.choose import choose_network, member_keys, read_member, save_network
from unchoke.networks.sources import add_network_flags, open_sources
from unchoke.store.run_record import add_run_flags, read_run, write_run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_network_flags(parser)
    parser.add_argument("--members", type=Path, nargs="+", required=True, help="weights of all trainings")
    add_run_flags(parser)
    args = parser.parse_args(argv)
    device, sources = device_of(args), open_sources(args)
    members = dict(zip(member_keys(args.settings), map(read_member, args.members), strict=True))
    choice = choose_network(members, args.settings, sources, device)
    head = choice.head
    seconds = head.seconds + sum(read_run(path.with_suffix(".json"))["seconds"] for path in args.members)
    write_run(args.run, seconds, device.type, members=[member_name(*key) for key in choice.members])
    save_network(choice, sources.stores, args.group, args.checkpoint)
    print("".join(f"warning: {text}\n" for text in head.fitted.warnings), end="")
    name = args.settings["choose_by"]
    print(f"chosen {head.fitted.choice}, {SPOKEN[name]} on val {head.figures['val'][name].value:.4f}")


if __name__ == "__main__":
    sys.exit(run(main))
