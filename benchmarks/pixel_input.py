"""A second encoder of the same size: its features from a store of pixels beside those from the files themselves.

The store is made once, for the first of them, and is not timed. All sides encode and write the same chunks, in turn;
their numbers must be equal. What is saved is the time of decoding and resizing: the ratio grows with the size of the
photographs and falls with that of the encoder. A third side has the pixels in memory, as a worker could keep them: it
shows what reading and unpacking the store and comparing its digests cost.
"""

import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from common import (
    CORES,
    TIMING_HEADER,
    Limit,
    benchmark_parser,
    encoder_flags,
    median_processor,
    median_wall,
    report,
    skip_without,
    time_in_turn,
    timing_cells,
)
from photographs import CHUNK_SIZE, Photographs, prepare

from unchoke.encoders.pixels import Pixels
from unchoke.features.chunk import Extraction, chunk_settings
from unchoke.features.decoded import Decoded, find_decoded
from unchoke.features.images import extract_chunk
from unchoke.features.pixels import extract_pixels, pixel_settings
from unchoke.features.shard import extract_shard
from unchoke.store.chunks import read_chunk

LEAST = 1.5  # times as fast


def make_pixels(photographs: Photographs, store: Path, n_chunks: int) -> None:
    """The first chunks of the pixels that the encoder sees, as the command extract_pixels makes them."""
    encoder = photographs.encoder
    source = Pixels(encoder.image_size, encoder.card["data_config"])
    how = Extraction(CHUNK_SIZE, CHUNK_SIZE, store="uint8")
    decode = partial(extract_pixels, root=photographs.root, source=source, settings=how, threads=CORES)
    for chunk in range(n_chunks):
        rows = [photographs.rows / f"{chunk}.csv"]
        extract_shard(store, chunk, rows, 1, decode, pixel_settings(source, how))


def decoded_chunk(photographs: Photographs, store: Path, chunk: int) -> Decoded | None:
    """The pixels of a chunk, from the store beside `store`; None where there is none."""
    facts = pixel_settings(photographs.encoder, Extraction(CHUNK_SIZE, 32))
    return find_decoded(store, chunk, [photographs.rows / f"{chunk}.csv"], 1, facts)


def make_features(
    photographs: Photographs, store: Path, n_chunks: int, kept: Sequence[Decoded | None] | None = None
) -> None:
    """The first chunks of features, as the command extract_chunk makes them. kept: the pixels, if memory has them."""
    encoder, how = photographs.encoder, Extraction(CHUNK_SIZE, 32)
    settings, given = chunk_settings(encoder, how), {"root": photographs.root, "encoder": encoder, "settings": how}
    for chunk in range(n_chunks):
        place = (store, chunk, [photographs.rows / f"{chunk}.csv"], 1)
        found = kept[chunk] if kept else decoded_chunk(photographs, store, chunk)
        extract_shard(*place, partial(extract_chunk, **given, threads=CORES, decoded=found), settings)


def main() -> int:
    parser = benchmark_parser(__doc__)
    encoder_flags(parser)
    parser.set_defaults(model="mobilenetv3_small_050")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of both sides, in turn")
    parser.add_argument("--chunks", type=int, default=8, help="chunks of 64 photographs")
    args = parser.parse_args()
    skip_without(args.data)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photographs = prepare(args.data, folder, args.model, args.image_size)
        names = {"from files": "files", "from pixels": "features", "from memory": "memory"}
        stores = {side: folder / name / "b.zarr" for side, name in names.items()}
        make_pixels(photographs, folder / "features/a~pixels.zarr", args.chunks)
        sides = {side: partial(make_features, photographs, store, args.chunks) for side, store in stores.items()}
        kept = [decoded_chunk(photographs, stores["from pixels"], chunk) for chunk in range(args.chunks)]
        sides["from memory"] = partial(sides["from memory"], kept=kept)
        time_in_turn(sides, 1)  # the first calls of torch take longer
        times = time_in_turn(sides, args.rounds)
        found = [[read_chunk(store, chunk) for store in stores.values()] for chunk in range(args.chunks)]
        equal = all(np.array_equal(one[key], other[key]) for one, *others in found for other in others for key in one)
    walls = {side: median_wall(each) for side, each in times.items()}
    ratio, spared = walls["from files"] / walls["from pixels"], walls["from pixels"] / walls["from memory"]
    table = [["side", *TIMING_HEADER], *([side, *timing_cells(each)] for side, each in times.items())]
    limits = [
        Limit("from files / from pixels", f"{ratio:.2f}", f"at least {LEAST}", ratio >= LEAST),
        Limit("features", "equal" if equal else "different", "equal", equal),
    ]
    costs = {side: median_processor(each) for side, each in times.items()}
    print(
        f"from pixels / from memory: {spared:.2f}, by processor time {costs['from pixels'] / costs['from memory']:.2f}"
    )
    return report(args, table, limits, {"ratio": ratio, "from memory": spared, "times": times})


if __name__ == "__main__":
    sys.exit(main())
