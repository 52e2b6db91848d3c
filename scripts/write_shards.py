"""Write the images of any source as tar shards for WebDataset, split by split."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.manifest.moves import GONE
from unchoke.sources.tar_shards import samples_of, write_shards
from unchoke.store.tables import MANIFEST_COLUMNS, read_table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with paths, labels and splits")
    parser.add_argument("--kind", default="folder", help="kind of source, dataset.kind in the config")
    parser.add_argument("--root", type=Path, required=True, help="folder that the manifest's paths are below")
    parser.add_argument("--folder", type=Path, required=True, help="where to put the shards")
    parser.add_argument("--per-shard", type=int, default=4096, help="images a shard")
    args = parser.parse_args(argv)
    frame = read_table(args.manifest, MANIFEST_COLUMNS)
    rows = frame.loc[~frame["excluded"].isin(GONE), ["image_id", "path", "label", "split"]]
    skipped: dict[str, str] = {}
    samples = samples_of(args.kind, args.root, rows.itertuples(index=False, name=None), skipped)
    shards = write_shards(args.folder, samples, args.per_shard)
    print(f"{len(rows) - len(skipped):,} images in {len(shards):,} shards: {args.folder}")
    for path, reason in skipped.items():
        print(f"left out: {path}: {reason}")


if __name__ == "__main__":
    sys.exit(run(main))
