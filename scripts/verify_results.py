"""Compare every result of a dataset, and its weights, with their digests; name damaged files with a remedy for each."""

import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from unchoke.api.verify import Expected, refuse_damage, verify_results
from unchoke.machine.commands import argument_parser, run
from unchoke.store.origin import origin_text, read_origin
from unchoke.store.read import read_seal


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="the dataset's folder of results")
    parser.add_argument("--stores", type=Path, nargs="*", default=[], help="sealed Zarr stores")
    parser.add_argument("--receipts", type=json.loads, default={}, help="JSON: names of receipts by their folder")
    parser.add_argument("--plans", type=Path, nargs="*", default=[], help="memory plans")
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="weights, with their cards beside them")
    args = parser.parse_args(argv)
    receipts = [
        args.results / "receipts" / folder / f"{name}.json" for folder, names in args.receipts.items() for name in names
    ]
    checked = verify_results(args.results, Expected(args.stores, receipts, args.plans, args.weights))
    refuse_damage(checked)
    for store in args.stores:
        count = sum(map(len, read_seal(store)["sha256"].values()))
        print(f"{store}: all {count:,} chunk files are as they were sealed")
        print(textwrap.indent(origin_text(read_origin(store)), "  "))
    print(f"all {len(checked):,} files are as they were written")


if __name__ == "__main__":
    sys.exit(run(main))
