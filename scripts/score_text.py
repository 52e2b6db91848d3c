"""Read words from the stitched maps of one head, with thresholds chosen on val, and compare them with the true ones."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.machine.commands import argument_parser, run
from unchoke.stitching.score import score_masks, write_scores
from unchoke.store.tables import MANIFEST_COLUMNS, QUARANTINE_COLUMNS, WORD_COLUMNS, read_table
from unchoke.text.score import Settings, said, score_text, write_icdar


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--group", type=Path, required=True, help="Zarr group with the results of the head")
    parser.add_argument("--stitched", type=Path, required=True, help="folder of its stitched maps")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the splits")
    parser.add_argument("--quarantine", type=Path, required=True, help="table of the images that do not count")
    parser.add_argument("--words", type=Path, required=True, help="table of the true words")
    parser.add_argument("--settings", type=json.loads, required=True, help="section detection of the config, as JSON")
    parser.add_argument("--scores", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--icdar", type=Path, required=True, help="folder to write a text file of each image to")
    args = parser.parse_args(argv)
    manifest, bad = read_table(args.manifest, MANIFEST_COLUMNS), read_table(args.quarantine, QUARANTINE_COLUMNS)
    whole = manifest[~manifest["image_id"].isin(bad["image_id"])]
    words, settings = read_table(args.words, WORD_COLUMNS), Settings(**args.settings)
    found = score_text(score_masks(args.group, args.stitched, whole), args.stitched, whole, words, settings)
    paths = dict(zip(whole["image_id"].astype(str), whole["path"], strict=True))
    write_icdar(args.icdar, paths, found["images"])
    write_scores(args.scores, found)
    print(said(found))


if __name__ == "__main__":
    sys.exit(run(main))
