# in:   the hub, a Python package, the file that the config names, or a seed
# out:  the folder of weights: <model>.<origin>.safetensors, and the .json that says what they are

from unchoke.targets.stores import encoders_in_use, stores_in_use
from unchoke.targets.weights import local_weights, weights_files, weights_name

# By the stem of its file: encoders with the same weights share it.
WEIGHTS = {weights_name(encoder): encoder for encoder in config["encoders"].values()}
# What this run needs of the encoders and stores that rules know.
USED_ENCODERS, USED_STORES = encoders_in_use(config), stores_in_use(config)


rule fetch_weights:
    input:
        lambda wildcards: local_weights(WEIGHTS[wildcards.weights]),
    output:
        **weights_files("{weights}"),
    log:
        "<logs>/fetch_weights/{weights}.log",
    localrule: True
    conda:
        "../../environment.yml"
    resources:
        mem_mb=3000,
    params:
        version=versions.WEIGHTS,
        model=lambda wildcards: WEIGHTS[wildcards.weights]["model"],
        origin=lambda wildcards: WEIGHTS[wildcards.weights]["weights"],
        seed=lambda wildcards: WEIGHTS[wildcards.weights]["seed"],
    shell:
        '"$UNCHOKE_SCRIPTS"/warm fetch_weights'
        " --model {params.model:q}"
        " --weights {params.origin:q}"
        " --seed {params.seed}"
        " --output {output.weights:q}"
        " --card {output.card:q}"
        " > {log:q} 2>&1"
