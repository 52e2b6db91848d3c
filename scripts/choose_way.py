"""Choose whether an encoder is compiled: measure what compiling saves and costs, unless there are chunks already."""

import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.encoders.encoder import keep_encoder
from unchoke.encoders.lanes import lanes_of
from unchoke.encoders.plan import add_array_flags, add_encoder_flags, add_way_flag
from unchoke.encoders.ways import Work, choose_way
from unchoke.files import write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import device_of
from unchoke.machine.limits import planned_batch
from unchoke.machine.memory import Host, budget_of, meter_of
from unchoke.signed import signed_bytes
from unchoke.store.tables import count_rows
from unchoke.targets.ways import way_of_chunks


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    add_encoder_flags(parser)
    add_array_flags(parser)
    parser.add_argument("--compile", choices=("auto", "on"), required=True, help="as the config says")
    parser.add_argument("--manifest", type=Path, required=True, help="CSV file with a row for each image or patch")
    parser.add_argument("--stores", type=Path, nargs="+", required=True, help="stores of the encoder, one a view")
    parser.add_argument("--chunk-size", type=int, required=True, help="images, or patches, per chunk")
    add_way_flag(parser)
    parser.add_argument("--measured", type=Path, required=True, help="JSON file to write the reasons to")
    args = parser.parse_args(argv)
    source, meter = (args.weights, args.card, args.image_size, args.pools), meter_of(device := device_of(args))
    encoder = keep_encoder(*source, device, args.precision, args.vram_mb, args.strides)
    before, micro_batch = way_of_chunks(args.stores, encoder.card["sha256"]), planned_batch(args.plan)
    lanes = lanes_of(args.plan, encoder, -(-args.chunk_size // micro_batch), args.threads)
    work = Work(count_rows(args.manifest) * len(args.stores), micro_batch, before, lanes)
    way = choose_way(encoder, work, args.compile, meter, budget_of(meter, args.vram_mb))
    write_atomic(args.measured, signed_bytes({**way, "host_mb": Host().peak_mb()}))
    write_atomic(args.way, signed_bytes({"compiled_threads": way["compiled_threads"]}))
    print(f"{encoder.card['model']}: {'compiled' if way['compiled_threads'] else 'eager'}, {way['why']}")


if __name__ == "__main__":
    sys.exit(run(main))
