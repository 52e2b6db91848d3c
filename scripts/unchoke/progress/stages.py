"""Pure: the stages of a run in words, and the rules that belong to each."""

import functools
from typing import NamedTuple


class Stage(NamedTuple):
    """Jobs that are counted, timed and shown together."""

    words: str
    rules: tuple[str, ...]
    """Names of rules, less the name of a store or network behind them."""
    counts_rows: bool = False
    """Whether its jobs take chunks of images or patches, so that a rate makes sense."""
    minor: bool = False
    """Whether its end is not worth a line."""
    of_words: str = ""
    """What it is called where a dataset has words; empty where nothing else."""


STAGES = (
    Stage("writing demo images", ("write_digits", "write_canvases", "write_words")),
    Stage("listing images", ("build_manifest", "build_patches", "draw_repeat")),
    Stage("fetching weights", ("fetch_weights",)),
    Stage("taking fingerprints", ("fingerprint_chunk",), counts_rows=True),
    Stage("choosing images", ("read_decisions", "clean_images", "select_rows")),
    Stage("cutting masks", ("cut_masks",), counts_rows=True),
    Stage("drawing maps of text", ("draw_text_maps",), counts_rows=True),
    Stage("planning memory", ("plan_memory", "choose_way", "plan_caches", "plan_network")),
    Stage("encoding", ("extract_chunk", "extract_patches"), counts_rows=True),
    Stage("caching pixels", ("extract_pixels",), counts_rows=True),
    Stage("asking the teacher", ("run_teacher",), counts_rows=True),
    Stage(
        "sealing and checking",
        (
            *("seal_features", "seal_labels", "seal_fingerprints", "list_quarantine", "list_encoder_quarantine"),
            *(
                "check_quarantine",
                "list_unusable",
                "check_unusable",
                "count_classes",
                "summarise_rates",
                "describe_teacher",
            ),
        ),
        minor=True,
    ),
    Stage("inspecting features", ("inspect_features",)),
    Stage("training heads", ("train_head", "train_repeat")),
    Stage("predicting images", ("predict_unlabelled",)),
    Stage("ranking images", ("list_to_label",)),
    Stage("training networks", ("train_member", "choose_network")),
    Stage("training mask heads", ("train_mask_head",), of_words="training text heads"),
    Stage("predicting patches", ("predict_patches", "predict_teacher"), counts_rows=True),
    Stage(
        "stitching masks",
        ("stitch_masks", "stitch_band", "finish_mask", "score_masks"),
        of_words="stitching maps",
    ),
    Stage("reading words", ("score_text",)),
    Stage("writing the report", ("build_database", "draw", "write_report", "write_review")),
    Stage("profiling", ("profile",)),
    Stage("comparing pipelines", ("compare_pipelines",)),
)
"""In the order in which an image travels."""
SPEAKING = ("doctor", "profile", "compare_pipelines", "verify")
"""Rules whose jobs write to the terminal, in the order in which a user needs them."""
PAGES = frozenset({"doctor", "verify"})
"""Those of them that do nothing else, and are not counted."""
_NOT_COUNTED = frozenset({"all", *PAGES})


@functools.cache
def stage_of(rule: str) -> Stage | None:
    """The stage of a rule, also of one with a store's name behind its own; a stage of its own where none is known.

    None for rules that only name what is wanted, or that only write a page to the terminal.
    """
    if rule in _NOT_COUNTED:
        return None
    names = {name: stage for stage in STAGES for name in stage.rules}
    known = [name for name in names if rule == name or rule.startswith(f"{name}_")]
    return names[max(known, key=len)] if known else Stage(rule.replace("_", " "), (rule,))


def order_of(stage: Stage) -> int:
    """Its place among STAGES; behind all where it is none of them."""
    return STAGES.index(stage) if stage in STAGES else len(STAGES)
