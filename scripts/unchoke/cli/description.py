"""What a config's comments say of the data and of the choices for it, which is also what a user sees at once."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from unchoke.cli.census import Census
from unchoke.cli.launch import snakemake_command
from unchoke.cli.look.anything import advice
from unchoke.cli.look.found import Found
from unchoke.cli.proposal import Proposal
from unchoke.names import SPLITS

_MOST_CLASSES = 40  # that a comment lists


def data_lines(data: Path, found: Found, census: Census, results: Path) -> Iterator[str]:
    """What was found, a line each."""
    yield f"{data}: {found.what}; {len(census.paths):,} images"
    if census.classes:
        listed = [f"{label} ({count:,})" for label, count in list(census.classes.items())[:_MOST_CLASSES]]
        more = f" and {len(census.classes) - _MOST_CLASSES:,} more" if len(census.classes) > _MOST_CLASSES else ""
        yield f"{len(census.classes):,} classes: {', '.join(listed)}{more}"
    yield f"splits: {_splits(census)}"
    yield from (f"! {warning}" for warning in census.warnings)
    if census.unlabelled:
        yield f"! {census.unlabelled:,} images without a class, mask or words on record, which count in no figure"
    for ending, count in sorted(census.left_out.items(), key=lambda item: -item[1]):
        do = advice(ending)
        yield f"{'! ' if do else ''}left out: {count:,} × {ending}{do}"
    yield from found.notes
    if results.exists():
        yield f"! {results} is there already, and the run goes on from it; --name gives this one a folder of its own"


def _splits(census: Census) -> str:
    counts = ", ".join(f"{name} {census.splits[name]:,}" for name in SPLITS)
    drawn = [name for name in SPLITS if name not in census.given]
    if len(drawn) == len(SPLITS):
        return f"{counts}; drawn by seed"
    return f"{counts}; given by the data" + (f", {' and '.join(drawn)} drawn from train by seed" if drawn else "")


def head_lines(file: Path, facts: list[str], costs: list[str]) -> list[str]:
    """The comment at the top of a config. file: the config. facts: as of ``data_lines``. costs: of a run."""
    by_hand = snakemake_command(file, flags=["--cores", "all", "--resources", "gpu=1"])
    return [
        "Written by `unchoke init`, and yours from now on. Every key, unit and default: config/README.md",
        "",
        *facts,
        "",
        "A run on this machine:",
        *(f"  {line}" for line in costs),
        "",
        f"  the run    unchoke run -c {shlex.quote(str(file))}",
        f"  or         {shlex.join(by_hand)}",
    ]


def comments_of(proposal: Proposal, path: str, results: Path) -> dict[tuple[str, ...], str]:
    """Comments above sections and keys. path: of the data, as the config has it."""
    [encoder] = proposal.sections["encoders"]
    comments: dict[tuple[str, ...], str] = {
        ("dataset", "name"): f"results go to {results}/",
        ("dataset", "path"): "relative to the folder that you run it in",
        ("dataset", "classes"): "the numbers in the masks, by the names of their classes",
        ("encoders", encoder): proposal.why,
        ("heads",): "each is tried on the features of every encoder, and takes seconds",
        ("mask_heads",): "each is trained on the feature maps of every encoder",
        ("patches",): "images are cut into these, in px",
    }
    if Path(path).is_absolute():
        del comments["dataset", "path"]
    return comments
