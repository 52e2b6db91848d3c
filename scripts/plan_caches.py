"""Say how large the caches of networks will be, and stop where one is larger than the config allows."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.encoders.caches import plan_caches
from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.signed import signed_bytes
from unchoke.store.tables import count_rows


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--caches", type=json.loads, required=True, help="JSON: what each cache holds, by its name")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the images")
    parser.add_argument("--plan", type=Path, required=True, help="JSON file to write the sizes to")
    args = parser.parse_args(argv)
    sizes = plan_caches(args.caches, count_rows(args.manifest))
    plan = {name: {**size._asdict(), "bytes": size.bytes} for name, size in sizes.items()}
    write_atomic(args.plan, signed_bytes(plan))


if __name__ == "__main__":
    sys.exit(run(main))
