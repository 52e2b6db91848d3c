"""Which encoders have their way chosen, eager or compiled; see ``encoders.ways``. The Snakefile reads this module."""

import json
from collections.abc import Iterable
from pathlib import Path

from unchoke.targets.stores import Config, views


def chosen_ways(config: Config, results: Path) -> dict[str, str]:
    """The file of the way of every encoder that has one, by the encoder's name.

    results: the folder of the dataset. `auto` leaves a store of eager chunks that no way was chosen for as it is: one
    more input of their rule would make all of them anew.
    """
    found = {}
    for name, encoder in config["encoders"].items():
        way = results / "plans" / f"{name}.way.json"
        eager = encoder["compile"] == "off"
        if encoder["compile"] == "auto" and not way.exists():
            eager = way_of_chunks(encoder_stores(config, name, results)) == 0
        if not eager:
            found[name] = str(way)
    return found


def encoder_stores(config: Config, encoder: str, results: Path) -> list[Path]:
    """Every store of an encoder, one a view."""
    return [results / "features" / f"{store}.zarr" for store, (name, _) in views(config).items() if name == encoder]


def way_of_chunks(stores: Iterable[Path], weights_sha256: str | None = None) -> int | None:
    """Threads that the encoder of the chunks of stores was compiled for, 0: it was eager; None where there is no chunk.

    The first readable record says it. weights_sha256: look only at chunks of these weights.
    """
    for store in stores:
        for record in store.with_suffix(".chunks").glob("[0-9]*.json"):
            try:
                settings = json.loads(record.read_bytes())["settings"]
                if weights_sha256 in (None, settings["weights_sha256"]):
                    return int(settings.get("compiled_threads", 0))
            except (OSError, ValueError, LookupError, TypeError, AttributeError):
                continue  # the seal names a damaged record
    return None
