"""Look at your data and write a config for it, with comments: what was found, and what a run will take.

The data: a folder with a folder for each class; a folder with images/ and masks/, or with images/ and gt/ for words; a
CSV; MMOCR's JSON; arrays in HDF5, .npy or Zarr; tar shards. Nothing is overwritten.
"""

import argparse
import os
import shlex
from pathlib import Path
from typing import Any

from unchoke.cli.flags import note, subcommand
from unchoke.cli.results import results_of
from unchoke.errors import UnchokeError


def add_to(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = subcommand(subcommands, "init", __doc__, main)
    parser.add_argument("data", type=Path, metavar="FOLDER|FILE", help="where the images are")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="config to write; NAME.yaml by default")
    parser.add_argument("--name", help="of the dataset, and of its folder of results; by default that of the data")


def main(args: argparse.Namespace) -> None:
    """Write the config, and say what was found and what to do next."""
    from unchoke.cli.config_text import dataset_name, refuse_unwritable

    refuse_unwritable(str(args.data))
    data = Path(os.path.normpath(args.data.absolute()))  # `..` has a name, too
    name = args.name or dataset_name(_without_ending(data))
    file: Path = args.out or Path(f"{name}.yaml")
    _refuse_existing(file)
    try:
        text = _config_of(args.data, name, file)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise UnchokeError(
            "A file or folder cannot be used.",
            found=error.strerror or str(error),
            where=str(error.filename or args.data),
        ) from None
    config = shlex.quote(str(file))
    print(f"{file} is written. Look at it, and then:\n\n  unchoke doctor -c {config}\n  unchoke run -c {config}")


def _without_ending(data: Path) -> str:
    return data.stem if data.is_file() or data.suffix == ".zarr" else data.name


def _refuse_existing(file: Path) -> None:
    from unchoke.cli.pictures import refuse_existing

    refuse_existing(file)
    if not file.parent.is_dir():
        raise UnchokeError(
            "The folder of the config is missing.", where=str(file.parent.absolute()), do="make it first"
        )


def _config_of(data: Path, name: str, file: Path) -> str:
    """The text of the config; what was found is said as soon as it is known."""
    from unchoke.cli.census import take_census
    from unchoke.cli.config_text import config_text, flow, printable
    from unchoke.cli.description import comments_of, data_lines, head_lines
    from unchoke.cli.expectations import Sample, expectations, has_card, has_package
    from unchoke.cli.look.anything import look_at
    from unchoke.cli.proposal import LITE_MODEL, compiling, propose
    from unchoke.config.load import load_config
    from unchoke.encoders.compiled import why_eager
    from unchoke.machine.devices import choose_device

    found, results = look_at(data), results_of(name)
    sections: dict[str, Any] = {"dataset": {"name": name, **found.dataset}}
    bare = load_config({**sections, **propose(found.dataset["kind"], 0, 0, card=False, packaged=False).sections})
    census = take_census(bare["dataset"], results / "manifest.csv")
    facts = list(data_lines(data, found, census, results))
    note("\n".join(map(printable, facts)))
    sample = Sample(bare["dataset"], census.paths, bare["decoding"]["max_pixels"])
    has = {"card": has_card(), "packaged": has_package(LITE_MODEL)}
    proposal = propose(bare["dataset"]["kind"], sample.side_px, census.splits["train"], **has)
    sections |= proposal.sections
    costs = list(expectations(load_config(sections), results, sample))
    compiled = compiling(len(census.paths), why_eager(choose_device("auto")))
    other = [*compiled, proposal.why_other + ":", *(f"{key}: {flow(value)}" for key, value in proposal.other.items())]
    text = config_text(
        sections,
        head_lines(file, facts, costs),
        comments_of(proposal, found.dataset["path"], results),
        {"encoders": other},
    )
    note("\n".join(["", *costs, ""]))
    return text
