"""The peer of workflow_overhead.py: one Python process that extracts every chunk in a plain loop, and seals.

It starts, imports, loads the encoder and computes with every core, as the workflow's warm worker does; nothing takes it
up where it was killed.
"""

import argparse
from pathlib import Path

import torch
from common import CORES

from unchoke.encoders.encoder import load_encoder
from unchoke.encoders.lanes import lanes_within
from unchoke.features.chunk import Extraction, save_chunk
from unchoke.features.images import extract_chunk
from unchoke.machine.devices import lease_device
from unchoke.store import tables
from unchoke.store.seal import seal_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "manifest", "rows", "weights", "card", "store"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("image-size", "chunk-size", "micro-batch"):
        parser.add_argument(f"--{name}", type=int, required=True)
    args = parser.parse_args()
    torch.set_num_threads(CORES)
    encoder = load_encoder(args.weights, args.card, args.image_size, ["avg"], lease_device(), "float16")
    settings = Extraction(args.chunk_size, args.micro_batch)
    lanes = lanes_within(CORES, encoder, settings.batches, CORES)
    for chunk in range(len(list(args.rows.iterdir()))):
        rows_file = args.rows / f"{chunk}.csv"
        rows = tables.read_table(rows_file, tables.ROW_COLUMNS)
        features = extract_chunk(rows, args.data, encoder, settings, CORES, lanes=lanes)
        save_chunk(args.store, chunk, rows_file, features, encoder, settings)
    seal_store(args.store, args.manifest, args.rows)


if __name__ == "__main__":
    main()
