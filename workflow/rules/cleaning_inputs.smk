# What rules of cleaning and of selection depend on where the config or the manifest says it.

from unchoke.config.cleaning import deciding
from unchoke.sources.locations import ARRAY_KINDS

CLEANING = config["cleaning"]

# Rows of arrays are small and come in one slice: a job would cost more than reading a few thousand of them.
CHUNKS_PER_JOB = CLEANING and (
    CLEANING["chunks_per_job"]
    or (256 if config["dataset"]["kind"] in ARRAY_KINDS else 16)
)


CLEANING_PAGES = [
    report_entry(f"cleaning/{name}", "5 Cleaning", label, caption)
    for name, label, caption in (
        ("findings.png", "findings by rule", "findings"),
        ("findings.html", "table", "findings"),
        ("balance.png", "balance of classes", "balance"),
        ("duplicates.png", "largest clusters of copies", "duplicates"),
        ("measures.png", "measures and thresholds", "measures"),
        *(
            (f"findings_{rule}.png", rule.replace("_", " "), "findings_of_rule")
            for rule, settings in (CLEANING["rules"] if CLEANING else {}).items()
            if settings
        ),
    )
]


def fingerprint_rows(wildcards):
    """Rows files of the chunks that one job fingerprints."""
    return job_rows(wildcards.chunk, CHUNKS_PER_JOB)


def fingerprint_chunks(wildcards):
    """Every chunk file of the fingerprints. Validity and record, which the same job writes, the seal looks for."""
    chunks = range(chunk_count(manifest_record()["chunks"], CHUNKS_PER_JOB))
    return [
        f"<results>/fingerprints.zarr/{array}/c/{chunk}/0"
        for array in ("hashes", "measures")
        for chunk in chunks
    ]


def fingerprints(wildcards):
    """Metadata and seal of the fingerprints, where images are cleaned."""
    if not CLEANING:
        return {}
    return {
        "metadata": "<results>/fingerprints.zarr/zarr.json",
        "seal": "<results>/fingerprints.sealed.json",
    }


def fingerprint_flag(wildcards, input):
    """The store of the fingerprints as a flag, where images are cleaned."""
    return (
        ["--store", str(Path(input.metadata).parent)]
        if hasattr(input, "metadata")
        else []
    )


def cleaning_files(wildcards):
    """What cleaning makes: its tables, and its pages of the report."""
    if not CLEANING:
        return []
    made = [
        f"<results>/{name}"
        for name in ("findings.csv", "cleaning.csv", "cleaning.json")
    ]
    return [*fingerprint_chunks(wildcards), *made, *map(str, CLEANING_PAGES)]
