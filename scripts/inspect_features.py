"""Apply the rules of cleaning that look at cached features: labels that are probably wrong, and near images."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.inspection.inspect import inspect_features
from unchoke.inspection.said import sentences
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.machine.memory_watch import memory_watched


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="sealed Zarr stores, one for each view")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with labels and splits")
    parser.add_argument("--fingerprints", type=Path, required=True, help="sealed Zarr store of the fingerprints")
    parser.add_argument("--rules", type=json.loads, required=True, help="JSON: rules about pixels that drop images")
    parser.add_argument("--settings", type=json.loads, required=True, help="JSON: cleaning.features, with the head")
    parser.add_argument("--memory-mb", type=int, required=True, help="memory that it was planned to take, MB")
    parser.add_argument("--findings", type=Path, required=True, help="CSV to write, a row for each image and rule")
    parser.add_argument("--summary", type=Path, required=True, help="JSON to write: counts, and how sure they are")
    parser.add_argument("--distances", type=Path, required=True, help="CSV to write: how far val and test lie")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    device = device_of(args)
    with memory_watched("inspect_features", args.memory_mb, "planned", binding=False):
        said = inspect_features(
            args.stores,
            args.manifest,
            args.fingerprints,
            args.rules,
            args.settings,
            device,
            args.findings,
            args.summary,
            args.distances,
        )
    print("\n".join(sentences(said)))


if __name__ == "__main__":
    sys.exit(run(main))
