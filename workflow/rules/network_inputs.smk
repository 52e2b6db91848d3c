# What the rules of networks depend on where the config says it.

from unchoke.config.caches import caches_of
from unchoke.machine.receipts import read_json
from unchoke.names import OF_OTHER_TRAININGS, member_name
from unchoke.targets.networks import network_members
from unchoke.targets.weights import encoder_weights


def network_sources(wildcards):
    """The sealed stores that a network reads, and the weights that it begins with.

    It waits, as heads do, until few enough images are in quarantine; without an encoder, in that of the first one.
    """
    settings = config["networks"][wildcards.network]
    stores = [f"<results>/features/{cache.name}" for cache in caches_of(settings)]
    weights = (
        encoder_weights(config["encoders"][settings["encoder"]])
        if settings["encoder"]
        else {}
    )
    return {
        "metadata": [f"{store}.zarr/zarr.json" for store in stores],
        "seals": [f"{store}.sealed.json" for store in stores],
        "quarantine": f"<results>/quarantine/{settings['encoder'] or next(iter(config['encoders']))}.json",
        **weights,
    }


def network_start(wildcards):
    """The checkpoint of the head that a network begins with; asking makes Snakemake wait for the network's plan.

    The plan is no input: one that foresees the same would be a reason to train again.
    """
    checkpoints.plan_network.get(network=wildcards.network)
    settings = config["networks"][wildcards.network]
    place = f"{settings['encoder']}/{settings['start']}"
    return (
        {"start": f"<results>/checkpoints/{place}.safetensors"}
        if settings["start"]
        else {}
    )


def network_flags(wildcards, input):
    """The stores of a network, and the weights and the head that it begins with, as flags."""
    flags = ["--stores", *[str(Path(metadata).parent) for metadata in input.metadata]]
    for name in ("weights", "card", "start"):
        if hasattr(input, name):
            flags += [f"--{name}", input.get(name)]
    return flags


def network_settings(wildcards):
    """A network's section of the config as one JSON flag."""
    return json_of(config["networks"][wildcards.network])


def member_settings(wildcards):
    """The same, less what other trainings of it alone depend on."""
    settings = config["networks"][wildcards.network]
    return json_of(
        {key: value for key, value in settings.items() if key not in OF_OTHER_TRAININGS}
    )


def member_flags(wildcards):
    """Learning rate, weight decay and seed of a training as flags."""
    settings = config["networks"][wildcards.network]
    for rate in settings["learning_rates"]:
        for decay in settings["weight_decays"]:
            for seed in settings["seeds"]:
                if member_name(rate, decay, seed) == wildcards.member:
                    return ["--rate", rate, "--decay", decay, "--seed", seed]


def members_of(wildcards):
    """The weights of all trainings of a network."""
    folder = f"<results>/members/{wildcards.network}"
    return [
        f"{folder}/{member}.safetensors"
        for member in network_members(config, wildcards.network)
    ]


def network_cards(wildcards):
    """How many cards share each step of a network's training."""
    return config["networks"][wildcards.network]["cards"]


def network_plan(wildcards):
    """Where the plan of a network lies."""
    return Path(RESULTS, "members", wildcards.network, "plan.json")


def network_mem_mb(wildcards):
    """Memory of the machine for the training of a network, MB: what its plan measured, torch, and images in memory."""
    plan = network_plan(wildcards)
    if not plan.exists():  # it is made before this job
        raise FileNotFoundError(plan)
    return round(read_json(plan)["peak_mb"]) + 2000 + IMAGES_MB


IMAGES_MB = 1024  # the default of networks.task.NetworkTask.budget_mb
