# What a run is for: every result by name; and what is made again since a file is missing that no rule declares.

from unchoke.targets import missing
from unchoke.targets.heads import head_places
from unchoke.targets.masks import (
    band_files,
    batch_files,
    mask_files,
    prediction_files,
)
from unchoke.targets.results import (
    cleaning_tables,
    mask_receipts,
    prediction_receipts,
    prediction_tables,
    receipt_files,
    report_files,
)
from unchoke.targets.weights import encoder_weights

PLACES = head_places(config)


def everything(wildcards):
    """Every file that a run is for, each by name, so that one deleted by hand is made again."""
    force_listing()
    files = [*receipt_files(config), *report_files(config)]
    for store in USED_STORES.values():
        files += [*store_files(store), *store.sealed.values(), store.origin]
    for name, encoder in USED_ENCODERS.items():
        files += encoder_weights(encoder).values()
        files += [f"<results>/plans/{name}{end}" for end in (".json", ".peaks.json")]
        files += way_input(name).values()
    if config["cleaning"]:
        files += cleaning_tables(config)
        files += map(str, CLEANING_PAGES)
    if MASKS:
        files += all_masks()
    else:
        files += predictions()
    force_incomplete()
    # Another Snakefile may ask for the input of `all`, and its rules know no <results>.
    return [file.replace("<results>", RESULTS) for file in files]


def predictions():
    """The list of images to label, what heads say of those without a label, and its receipts."""
    listed = ["<results>/to_label.csv", "<results>/to_label.json"] if LISTED else []
    if not has_unlabelled():
        return listed
    made = prediction_receipts(config)
    force(missing.incomplete_receipts(made, Path(RESULTS)))
    return [*listed, *prediction_tables(config), *made]


def all_masks():
    """Every prediction and band, the finished masks, and their receipts."""
    files = mask_receipts(masks(), PLACES)
    for place in PLACES:
        files += prediction_files(*place, masks().chunks)
        files += finished_masks(*place)
        for image in masks().apart:
            files += band_files(*place, image, masks().bands(image))
    return files


def finished_masks(encoder, head):
    """What is there when all masks of a head are; a batch of which a file is missing is made again."""
    force(missing.incomplete_batches(masks(), (encoder, head), Path(RESULTS)))
    files = batch_files(encoder, head, range(len(masks().batches)))
    for image in masks().apart:
        files += mask_files(encoder, head, image)
    return files


def force(files):
    """Have Snakemake run the jobs that make these files; those of files that are not there it runs anyway."""
    there = (file.replace("<results>", RESULTS) for file in files)
    workflow.dag.forcefiles.update(file for file in there if Path(file).exists())


def force_incomplete():
    """Have Snakemake run the jobs of which a file is missing that no rule declares."""
    results, chunks = Path(RESULTS), manifest_chunks()
    force(missing.incomplete_receipts(receipt_files(config), results))
    force(missing.incomplete_chunks(USED_STORES, results, chunks))
    if MASKS:
        made = mask_receipts(masks(), PLACES)
        force(missing.incomplete_receipts(made, results))
        force(missing.incomplete_masks(masks(), PLACES, results, chunks))


def force_listing():
    """Have Snakemake list the images anew where a file of the listing is missing.

    It looks at the checkpoint's first output alone, would wait for the others for ever, and call the run finished.
    """
    listed = f"{RESULTS}/receipts/build_{'patches' if MASKS else 'manifest'}.json"
    if Path(RESULTS, "manifest.csv").exists() and not missing.is_whole(Path(listed)):
        workflow.dag.forcefiles.add(listed)
