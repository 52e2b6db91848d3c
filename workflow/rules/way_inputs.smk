# What rules are told of the way of an encoder, eager or compiled; see plans.smk.

from unchoke.targets.ways import chosen_ways
from unchoke.targets.weights import encoder_weights

# An input of chunks where the config lets encoders be compiled, so that stores made before there was a choice still hold.
WAYS = chosen_ways(config, Path(RESULTS))


def way_input(encoder):
    """The way of an encoder, as an input of the rules that make its chunks."""
    return {"way": WAYS[encoder]} if encoder in WAYS else {}


def way_flag(encoder):
    """What their commands are told of it."""
    return " --way {input.way:q}" if encoder in WAYS else ""


def weights_when_listed(wildcards):
    """The weights of an encoder, once the manifest is there, which says how many images there are to do."""
    manifest_folder()
    return encoder_weights(config["encoders"][wildcards.encoder])
