"""Pure: what the section ``subset`` of a config asks for: a part to train on, or a list of images to label."""

from typing import Any

from unchoke.names import DRAWN, LISTED, UNLABELLED


def listing_of(config: dict[str, Any]) -> dict[str, Any] | None:
    """How images to label are listed, every default filled in; None where none are.

    config: as ``load_config`` gives it. how, n, splits, encoder, seed; of diverse and typical pool and view, of typical
    k; of uncertain head.
    """
    subset = config["subset"]
    if subset is None or drawn_part(subset):
        return None
    how = next(name for name in LISTED if subset[name] is not None)
    tried = (config["heads"][subset["head"]]["encoders"] if subset["head"] else None) or list(config["encoders"])
    name = subset["encoder"] or tried[0]
    encoder = config["encoders"][name]
    found = {"how": how, "n": subset[how], "splits": subset["splits"] or [UNLABELLED], "encoder": name}
    found |= {"seed": subset["seed"]}
    if how == "uncertain":
        return found | {"head": subset["head"]}
    found |= {"pool": subset["pool"] or encoder["pools"][0], "view": encoder["views"][0]}
    return found | ({"k": subset["k"]} if how == "typical" else {})


def drawn_part(subset: dict[str, Any] | None) -> dict[str, Any] | None:
    """What selects images for training: fraction, per_class, seed and splits; None where nothing does.

    subset: the section as the config dumps it.
    """
    if subset is None or all(subset[name] is None for name in DRAWN):
        return None
    return {**{name: subset[name] for name in (*DRAWN, "seed")}, "splits": subset["splits"] or ["train"]}
