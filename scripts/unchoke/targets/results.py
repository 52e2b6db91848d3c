"""Pure: the files of results that a run is for, beside its stores and masks; configs as in ``stores``."""

import posixpath
from collections.abc import Iterable
from typing import Any

from unchoke.config.caches import caches
from unchoke.names import TEACHER
from unchoke.targets.heads import Place, head_places, head_stores, trained_places
from unchoke.targets.listing import listing_of
from unchoke.targets.masks import Masks, mask_receipt
from unchoke.targets.networks import network_members, network_places
from unchoke.targets.stores import RESULTS, Config, first_store, has_masks, has_words, task_of

_PAGES = ("leaderboard", "quarantine", "durations")
HEAD_FIGURES = {
    "classification": ("settings", "parts", "confusion", "reliability", "mistakes"),
    "regression": ("settings", "predicted", "mistakes"),
    "multilabel": ("settings", "areas", "parts", "mistakes"),
    "segmentation": ("mask_curves", "mask_overlays", "mask_confusion"),
    "detection": ("mask_curves", "text_overlays", "text_thresholds"),
}
"""By task the names of the figures of a head, as ``report.head`` draws them."""
_JOBS = ("list_unusable", "check_unusable", "list_quarantine", "summarise_rates", "build_database", "write_report")


def repeats(config: Config) -> range:
    """Numbers of the further random splits, of which each has the results of all heads in a folder of its own."""
    return range(1, config["dataset"]["split"]["repeats"])


def finished_runs(config: Config) -> list[str]:
    """The metadata of every head that a run is for, on all splits; of masks the scores and grids too."""
    places = head_places(config)
    networks = [f"{RESULTS}/heads/{encoder}.zarr/{name}/zarr.json" for encoder, name in network_places(config)]
    folders = [RESULTS, *(f"{RESULTS}/repeats/{repeat}" for repeat in repeats(config))]
    found = [f"{folder}/heads/{encoder}.zarr/{head}/zarr.json" for folder in folders for encoder, head in places]
    found += networks
    if has_masks(config):
        found += [f"{RESULTS}/scores/{encoder}/{head}.json" for encoder, head in places]
        found.append(f"{RESULTS}/grids.json")
    return found


def report_files(config: Config) -> list[str]:
    """The pages of the run, and every figure and table but those of cleaning."""
    review = [f"{RESULTS}/review.html"] if reviews(config) else []
    return [f"{RESULTS}/report.html", f"{RESULTS}/report/page.html", *review, *figure_files(config)]


def inspects(config: Config) -> bool:
    """Whether rules look at features."""
    return bool(config["cleaning"] and config["cleaning"]["features"])


def decides(config: Config) -> bool:
    """Whether the user decides about single images."""
    return bool(config["cleaning"] and config["cleaning"]["decisions"])


def reviews(config: Config) -> bool:
    """Whether there is a page to look at images and decide about them."""
    return bool(config["cleaning"]) and not has_masks(config)


def cleaning_tables(config: Config) -> list[str]:
    """What cleaning writes beside its figures: the findings come first, of pixels and then of features."""
    if not config["cleaning"]:
        return []
    of_features = ["feature_findings.csv", "feature_findings.json", "distances.csv"] if inspects(config) else []
    tables = ["findings.csv", *of_features[:1], "cleaning.csv", "cleaning.json", *of_features[1:]]
    return [f"{RESULTS}/{table}" for table in tables]


def finding_tables(config: Config) -> list[str]:
    """The tables of findings: of pixels, and of features where rules look at them."""
    return [table for table in cleaning_tables(config) if table.endswith("findings.csv")]


def figure_files(config: Config) -> list[str]:
    """Every figure and table that the page is made from, but those of cleaning."""
    masks, figures = has_masks(config), HEAD_FIGURES[task_of(config)]
    found = [f"{page}.{kind}" for page in _PAGES for kind in ("png", "html")]
    for encoder, head in [*trained_places(config), *network_places(config)]:
        found += [f"{encoder}/{head}/{figure}.png" for figure in figures]
    found += [f"{encoder}/{network}/steps.png" for encoder, network in network_places(config)]
    if not masks:
        found += [f"{encoder}/embedding.png" for encoder in config["encoders"]]
    found += ["to_label.png"] if listing_of(config) else []
    return [f"{RESULTS}/report/{file}" for file in found]


def mapped_stores(config: Config) -> dict[str, list[str]]:
    """By encoder the store and the pool that its map shows; none where there are masks."""
    if has_masks(config):
        return {}
    encoders = config["encoders"].items()
    return {name: [f"{first_store(config, name).stem}.zarr", encoder["pools"][0]] for name, encoder in encoders}


def receipts(config: Config) -> dict[str, list[str]]:
    """Names of the receipts of all jobs that have one but those of masks, by their folder; see ``machine.receipts``."""
    masks, places = has_masks(config), head_places(config)
    found = {"": [*_JOBS, *(f"draw_{page}" for page in _PAGES), *_listing_jobs(config)]}
    for encoder, head in trained_places(config):
        for job in ("train_mask_head" if masks else "train_head", "draw_head"):
            found.setdefault(f"{job}/{encoder}", []).append(head)
        for repeat in repeats(config):
            found.setdefault(f"train_repeat/{repeat}/{encoder}", []).append(head)
    for encoder, network in network_places(config):
        for job in ("plan_network", "choose_network"):
            found.setdefault(job, []).append(network)
        for job in ("draw_head", "draw_steps"):
            found.setdefault(f"{job}/{encoder}", []).append(network)
        found[f"train_member/{network}"] = network_members(config, network)
    if repeats(config):
        found["draw_repeat"] = list(map(str, repeats(config)))
    found |= dict.fromkeys(("list_quarantine", "check_quarantine"), sorted({encoder for encoder, _ in places}))
    if not masks:
        return found | {"draw_embedding": list(config["encoders"])}
    for encoder, head in places:
        found.setdefault(f"score_{'text' if has_words(config) else 'masks'}/{encoder}", []).append(head)
    if (TEACHER, TEACHER) in places:
        found[""].append("describe_teacher")
    return found


def _listing_jobs(config: Config) -> list[str]:
    if has_masks(config):
        return ["build_patches"]
    cleaning = ["clean_images", "draw_cleaning"] if config["cleaning"] else []
    cleaning += ["inspect_features"] if inspects(config) else []
    cleaning += ["read_decisions"] if decides(config) else []
    cleaning += ["write_review"] if reviews(config) else []
    cleaning += ["list_to_label", "draw_to_label"] if listing_of(config) else []
    return ["build_manifest", "count_classes", "select_rows", *cleaning, *(["plan_caches"] if caches(config) else [])]


def receipt_files(config: Config) -> list[str]:
    """The files of ``receipts``."""
    folders = receipts(config).items()
    return [posixpath.join(RESULTS, "receipts", folder, f"{name}.json") for folder, names in folders for name in names]


def prediction_tables(config: Config) -> list[str]:
    """What each head says of images without a label; not of heads on further splits, nor of networks."""
    return [f"{RESULTS}/unlabelled/{encoder}/{head}.csv" for encoder, head in trained_places(config)]


def prediction_receipts(config: Config) -> list[str]:
    """The receipts of ``prediction_tables``."""
    places = trained_places(config)
    return [f"{RESULTS}/receipts/predict_unlabelled/{encoder}/{head}.json" for encoder, head in places]


def listing_inputs(config: Config, listing: dict[str, Any]) -> dict[str, Any]:
    """What the list of images to label is made from, by name. listing: as ``targets.listing.listing_of`` gives it."""
    encoder = listing["encoder"]
    if listing["how"] == "uncertain":
        checkpoint = f"{RESULTS}/checkpoints/{encoder}/{listing['head']}.safetensors"
        return {**head_stores(config, encoder, listing["head"]), "checkpoint": checkpoint}
    store = first_store(config, encoder)
    return {"metadata": [store.metadata], "seals": [store.seal]}


def mask_receipts(masks: Masks, places: Iterable[Place]) -> list[str]:
    """The receipt of every mask that is finished by a job of its own."""
    return [mask_receipt(*place, image) for place in places for image in masks.apart]
