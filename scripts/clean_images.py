"""Apply the rules of cleaning to the fingerprints of all images, and print the findings."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.cleaning.clean import clean_images
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.memory_watch import memory_watched


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--store", type=Path, required=True, help="sealed Zarr store of the fingerprints")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with labels and splits")
    parser.add_argument("--rules", type=json.loads, required=True, help="cleaning.rules of the config, as JSON")
    parser.add_argument("--memory-mb", type=int, required=True, help="resident memory that this may take, MB")
    parser.add_argument("--findings", type=Path, required=True, help="CSV to write, a row for each image and rule")
    parser.add_argument("--cleaning", type=Path, required=True, help="CSV to write, a row for every image")
    parser.add_argument("--summary", type=Path, required=True, help="JSON to write: counts, classes before and after")
    args = parser.parse_args(argv)
    with memory_watched("clean_images", args.memory_mb, "cleaning.memory_mb"):
        said = clean_images(args.store, args.manifest, args.rules, args.findings, args.cleaning, args.summary)
    for rule, splits in said["findings"].items():
        stays = f", {said['kept_in_test'][rule]} of test kept" if rule in said["kept_in_test"] else ""
        print(f"{rule}: {sum(splits.values())} images ({said['dropped'].get(rule, 0)} dropped for this{stays})")
    if said["near_leaks"]:
        print(f"near_duplicate: {said['near_leaks']} of these have their copy in another split: see leak.near")


if __name__ == "__main__":
    sys.exit(run(main))
