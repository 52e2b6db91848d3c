"""Pure: the networks that a run trains, and their trainings; configs as in ``stores``."""

from itertools import product

from unchoke.names import PIXELS, member_name
from unchoke.targets.heads import Place
from unchoke.targets.stores import Config


def network_places(config: Config) -> list[Place]:
    """Where the results of every network lie: the name of its encoder, or pixels, and its own."""
    return [(settings["encoder"] or PIXELS, network) for network, settings in config["networks"].items()]


def network_members(config: Config, network: str) -> list[str]:
    """Names of all trainings of a network."""
    settings = config["networks"][network]
    tried = product(settings["learning_rates"], settings["weight_decays"], settings["seeds"])
    return [member_name(*setting) for setting in tried]
