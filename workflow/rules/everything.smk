# What a run is for: every result by name, the receipts of all jobs, and what is made again since a file is missing
# that no rule declares.

from unchoke.store.presence import has_metadata, is_whole, with_gaps


def head_places():
    """Encoder and name of every head that a run trains."""
    if MASKS:
        return [place for place in segmenting_places() if place[0] != TEACHER]
    return [
        (encoder, head)
        for head, settings in config["heads"].items()
        for encoder in settings["encoders"] or config["encoders"]
    ]


def receipts():
    """Names of the receipts of all jobs that have one, by their folder; see scripts/unchoke/machine/receipts.py."""
    jobs = ["list_quarantine", "summarise_rates", "draw_quarantine", "draw_durations"]
    jobs += ["build_database", "draw_leaderboard"]
    jobs += MASK_JOBS if MASKS else IMAGE_JOBS
    trained, encoders = {}, {encoder for encoder, _ in head_places()}
    for encoder, head in head_places():
        trained.setdefault(encoder, []).append(head)
    found = {
        **{f"train{HEADS}/{encoder}": heads for encoder, heads in trained.items()},
        **{f"draw_head/{encoder}": heads for encoder, heads in trained.items()},
    }
    found |= {"draw_repeat": list(map(str, REPEATS))} if REPEATS else {}
    found |= {
        f"train_repeat/{repeat}/{encoder}": heads
        for repeat in REPEATS
        for encoder, heads in trained.items()
    }
    if MASKS and any(place[0] == TEACHER for place in segmenting_places()):
        jobs.append("describe_teacher")
        encoders.add(TEACHER)
    found |= dict.fromkeys(("list_quarantine", "check_quarantine"), sorted(encoders))
    if MASKS:
        for encoder, head in segmenting_places():
            found.setdefault(f"score_masks/{encoder}", []).append(head)
    else:
        found["draw_embedding"] = list(config["encoders"])
    return {"": jobs, **found}


HEADS = "_mask_head" if MASKS else "_head"
MASK_JOBS = ["build_patches"]
IMAGE_JOBS = [
    *("build_manifest", "select_rows"),
    *(["clean_images", "draw_cleaning"] if config["cleaning"] else []),
]


def receipt_files():
    """Every receipt but those of masks."""
    return [
        f"{RESULTS}/receipts/{folder}/{name}.json".replace("//", "/")
        for folder, names in receipts().items()
        for name in names
    ]


def mask_receipts():
    """The receipt of every finished mask."""
    return [
        f"{RESULTS}/receipts/finish_mask/{encoder}/{head}/{image}.json"
        for encoder, head in segmenting_places()
        for image in segmented_images()
    ]


def sealed_chunks():
    """Every sealed store with the number of its chunks, and the first array that rules name, {chunk} open."""
    chunks = manifest_record()["chunks"]
    found = {
        f"features/{store}": (
            chunk_count(chunks, CHUNKS_PER_SHARD),
            store_arrays(name)[0],
        )
        for store, (name, _) in STORES.items()
    }
    if config["cleaning"]:
        found["fingerprints"] = (
            chunk_count(chunks, CHUNKS_PER_JOB),
            "hashes/c/{chunk}/0",
        )
    if MASKS:
        found["labels"] = (chunks, "mask/c/{chunk}/0/0")
    return found


def incomplete_chunks():
    """Files of chunks beside which validity or record is missing, and metadata beside which that of an array is."""
    for name, (chunks, array) in sealed_chunks().items():
        store = Path(RESULTS, f"{name}.zarr")
        for chunk in with_gaps(
            range(chunks), store / "valid/c", store.with_suffix(".chunks")
        ):
            yield f"{store}/{array.format(chunk=chunk)}"
        if not has_metadata(store):
            yield f"{store}/zarr.json"


def incomplete_masks():
    """Files of predictions and bands beside which the record is missing, or a band's probabilities."""
    for encoder, head in segmenting_places():
        store = Path(RESULTS, "predictions", encoder, f"{head}.zarr")
        chunks = range(manifest_record()["chunks"])
        for chunk in with_gaps(chunks, store.with_suffix(".chunks")):
            yield f"{store}/probability/c/{chunk}/0/0/0"
        for image in segmented_images():
            bands = mask_bands(encoder, head, image)
            store = Path(RESULTS, "stitched", encoder, head, f"{image}.zarr")
            kept = [store / "probability/c/0"] * config["segment"]["probabilities"]
            for band in with_gaps(
                range(len(bands)), store.with_suffix(".bands"), *kept
            ):
                yield f"{store}/mask/c/{band}/0"


def force_incomplete():
    """Have Snakemake run the jobs of which a file is missing that no rule declares; those not yet run it runs anyway."""
    targets = [
        file
        for file in [*receipt_files(), *(mask_receipts() if MASKS else [])]
        if not is_whole(Path(file))
    ]
    targets += [*incomplete_chunks(), *(incomplete_masks() if MASKS else [])]
    workflow.dag.forcefiles.update(
        target for target in targets if Path(target).exists()
    )


def prediction_chunks(wildcards):
    """What was predicted for the patches of all images that are segmented."""
    chunks = {
        chunk
        for image in segmented_images()
        for chunk in patch_chunks(image, range(grid_of(image).rows))
    }
    return [
        f"<results>/predictions/{encoder}/{head}.zarr/probability/c/{chunk}/0/0/0"
        for encoder, head in segmenting_places()
        for chunk in sorted(chunks)
    ]


def force_listing():
    """Have Snakemake list the images anew where a file of the listing is missing.

    It looks at the checkpoint's first output alone, would wait for the others for ever, and call the run finished.
    """
    listed = f"{RESULTS}/receipts/build_{'patches' if MASKS else 'manifest'}.json"
    if Path(RESULTS, "manifest.csv").exists() and not is_whole(Path(listed)):
        workflow.dag.forcefiles.add(listed)


def everything(wildcards):
    """What a run is for."""
    force_listing()
    files = [*all_chunks(wildcards), *receipt_files()]
    for store in SEALED:
        endings = (".zarr/zarr.json", ".sealed.json", ".origin.json")
        files += [f"{store}{ending}" for ending in endings]
    for encoder in config["encoders"]:
        files += encoder_weights(encoder).values()
        files += [
            f"<results>/plans/{encoder}{ending}" for ending in (".json", ".peaks.json")
        ]
    force_incomplete()
    if MASKS:
        made = (label_chunks, prediction_chunks, all_masks, mask_report_files)
        files += [file for asked in made for file in asked(wildcards)]
        return [*files, *mask_receipts()]
    return [*files, *report_files(wildcards), *cleaning_files(wildcards)]
