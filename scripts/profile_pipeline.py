"""Measure each step of extraction and training, and the whole run without it, on a sample of the images."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.files import json_bytes, write_atomic
from unchoke.machine.commands import argument_parser, run
from unchoke.machine.devices import add_device_flags, device_of
from unchoke.profiling.command import profile_pipeline
from unchoke.profiling.draw import draw_profile
from unchoke.profiling.page import page, table
from unchoke.report.style import png_bytes


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="the whole config, as JSON")
    parser.add_argument("--files", type=json.loads, required=True, help="JSON: weights, card and plan by encoder")
    parser.add_argument("--results", type=Path, required=True, help="the dataset's folder of results")
    parser.add_argument("--seconds", type=float, default=120, help="about how long to measure, s")
    parser.add_argument("--images", type=int, default=256, help="images to draw, at most")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    add_device_flags(parser)
    args = parser.parse_args(argv)
    found = profile_pipeline(args, device_of(args))
    write_atomic(args.results / "profile.json", json_bytes(found))
    write_atomic(args.results / "profile.csv", table(found).encode())
    write_atomic(args.results / "report" / "profile.png", png_bytes(draw_profile(found)))
    print(page(found))


if __name__ == "__main__":
    sys.exit(run(main))
