"""Protocols by name. A preset is ordinary settings of a head: ``{preset: knn, k: [5]}`` takes all of them but k.

``python scripts/print_preset.py NAME`` prints one as YAML, to be put into a config and changed.
"""

from typing import Any

from unchoke.names import suggestion


def dinov2_linear() -> dict[str, Any]:
    """Linear probe of DINOv2 (Oquab et al. 2023, arXiv:2304.07193; dinov2/eval/linear.py of its code).

    SGD with momentum 0.9, no weight decay, cosine schedule, 13 learning rates at once on the same batches, the best on
    val kept. Its 12,500 steps (10 epochs of 1,250) of 1,024 images (8 processes of 128) are kept, and so are its rates,
    which it gives for 256 images a step and scales by batch / 256. The features are not standardised there. Its code
    also tries one and four blocks, with and without the mean of the patches; here a pool is chosen by `pool`. Its
    images are augmented anew at every step; here they are cached, in the views that `train_views` names.
    """
    rates = [1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1]
    return {
        "kind": "linear",
        "pool": "cls",
        "optimizer": "sgd",
        "momentum": 0.9,
        "learning_rates": [rate * 4 for rate in rates],
        "weight_decays": [0.0],
        "seeds": [0],
        "steps": 12_500,
        "batch_size": 1024,
        "schedule": "cosine",
        "standardize": False,
    }


def dinov2_logistic() -> dict[str, Any]:
    """Logistic regression of DINOv2 and DINOv3 (arXiv:2304.07193; dinov2/eval/log_regression.py of its code).

    45 values of C, 10 ** linspace(-6, 5); L-BFGS in float64 to a tolerance of 1e-12 or 1,000 iterations; the best on
    val is fitted anew on train and val, as there where a set to choose on is given. The features are not standardised.
    """
    return {
        "kind": "logistic",
        "pool": "cls",
        "c": [10 ** (-6 + 11 * step / 44) for step in range(45)],
        "tolerance": 1e-12,
        "max_iterations": 1000,
        "precision": "float64",
        "standardize": False,
        "refit": True,
    }


def eva_linear() -> dict[str, Any]:
    """Linear probe of kaiko-ai/eva's pathology leaderboard (Gatopoulos et al. 2024), as release 0.4.5 has it.

    Its commit 8207100, configs/vision/pathology/offline/classification: AdamW at a constant 3e-4, batches of 256, at
    most 12,500 steps, five runs of different seeds, each with the weights that had the best balanced accuracy on val.
    A run ends early after a fifth of the steps without a better one. It is scored on val after every pass over the
    training images; `validate_every: 50` scores it every 50 steps, whatever their number. This is so since commit
    c36237c of March 2025, which removed the cosine schedule: `eva_linear_cosine` has what came before. eva draws the
    first weights as torch.nn.Linear does, and two classes share one logit there.
    """
    return {
        "kind": "linear",
        "pool": "cls",
        "optimizer": "adamw",
        "learning_rates": [3e-4],
        "weight_decays": [0.01],
        "seeds": [0, 1, 2, 3, 4],
        "steps": 12_500,
        "patience": 2_500,
        "batch_size": 256,
        "schedule": "constant",
        "keep": "best",
        "choose_by": "balanced_accuracy",
        "standardize": False,
    }


def eva_linear_cosine() -> dict[str, Any]:
    """Linear probe of kaiko-ai/eva (Gatopoulos et al. 2024) from October 2024, commit c6af930, to March 2025, c36237c.

    As `eva_linear`, but with a cosine schedule over the 12,500 steps. A run ended early there too, after a twentieth of
    the steps by its documentation; the configs of single data sets differ. Here it never does. Before, it was SGD.
    """
    return {**eva_linear(), "schedule": "cosine", "patience": None}


def few_shot() -> dict[str, Any]:
    """Few-shot probe: 16 images of each class, 10 draws, mean and deviation over the draws.

    Draws come from train alone, and one value of C leaves val nothing to choose, so that no label but the drawn ones is
    used (LAION-AI/CLIP_benchmark issue 125 tells of the leak where val is used to refit). The number of shots follows
    Radford et al. 2021 (arXiv:2103.00020, 1 to 16), the repetition TRIDENT's Patho-Bench.
    """
    return {"kind": "logistic", "c": [1.0], "shots": 16, "draws": 10}


def knn() -> dict[str, Any]:
    """k-NN of DINO and DINOv2 (Caron et al. 2021, arXiv:2104.14294; Wu et al. 2018): cosine, temperature 0.07."""
    return {"kind": "knn", "pool": "cls", "k": [10, 20, 100, 200], "temperature": 0.07}


PRESETS = {
    preset.__name__: preset for preset in (dinov2_linear, dinov2_logistic, eva_linear, eva_linear_cosine, few_shot, knn)
}


def expand_preset(value: Any) -> Any:
    """The settings of a head with its preset filled in; what the head gives itself comes first."""
    if not isinstance(value, dict) or "preset" not in value:
        return value
    name = value["preset"]
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"unknown preset '{name}': {suggestion(str(name), PRESETS)}")
    given = {key: setting for key, setting in value.items() if key != "preset"}
    settings = PRESETS[name]()
    if given.get("kind", settings["kind"]) != settings["kind"]:
        raise ValueError(f"preset '{name}' is of kind '{settings['kind']}', not '{given['kind']}'")
    if "epochs" in given and "steps" not in given:
        settings.pop("steps", None)  # or they would go before the epochs that were asked for
    return {**settings, **given}
