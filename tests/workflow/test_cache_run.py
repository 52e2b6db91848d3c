"""Caches of networks in real runs: made once, mended by the chunk, and refused before they are too large."""

from pathlib import Path

from conftest import Clone, jobs

from unchoke.api.verify import Expected, verify_results

LAST, WHOLE = {"encoder": "tiny", "blocks": 2}, {"encoder": "tiny"}
SEALED = [f"results/few/features/tiny{cache}.zarr/zarr.json" for cache in ("~last2", "~pixels")]


def test_caches_are_stores_as_features_are(rerun: Clone) -> None:
    rerun.configure(networks={"last": LAST, "whole": WHOLE})
    features = rerun.times("features/tiny.zarr/**/*")
    rerun.snakemake("--cores", "2", "results/few/caches.json")  # as in a run that was killed behind it
    assert "cache tiny~last2: 7.22e-05 GB (47 images × 48 × 4 × 4 float16), less what compression saves" in rerun.logs(
        "plan_caches"
    )
    said = rerun.snakemake("--cores", "2", *SEALED)
    assert (jobs(said, "extract_chunk_tiny~last2"), jobs(said, "extract_pixels_tiny~pixels")) == (3, 3)
    assert jobs(said, "extract") == 6  # no features are made again
    assert rerun.times("features/tiny.zarr/**/*") == features

    stores = [rerun.folder / Path(sealed).parent for sealed in SEALED]
    checked = verify_results(rerun.results, Expected(stores, [rerun.results / "receipts/plan_caches.json"], [], []))
    assert not [file for file in checked if file.found] and len(checked) > 50
    assert {store / name for store in stores for name in ("valid/c/2", "zarr.json")} <= {file.path for file in checked}

    made = rerun.times("features/tiny~*.zarr/**/0/0/0")
    (gone,) = rerun.results.glob("features/tiny~last2.zarr/activations/c/1/0/0/0")
    gone.unlink()
    said = rerun.snakemake("--cores", "2", str(gone.relative_to(rerun.folder)), *SEALED)
    assert (jobs(said, "extract_chunk_tiny~last2"), jobs(said, "extract")) == (1, 1)
    again = rerun.times("features/tiny~*.zarr/**/0/0/0")
    assert {path for path in made if again[path] != made[path]} == {str(gone.relative_to(rerun.folder))}

    rerun.configure(networks={"last": {**LAST, "blocks": 1}, "whole": WHOLE})
    other = SEALED[0].replace("last2", "last1")
    said = rerun.snakemake("--cores", "2", other, SEALED[1])
    assert (jobs(said, "extract_chunk_tiny~last1"), jobs(said, "extract")) == (3, 3)

    rerun.configure(networks={"last": {**LAST, "blocks": 3, "cache_gb": 1e-5}, "whole": WHOLE})
    said = rerun.snakemake("--cores", "2", other.replace("last1", "last3"), ok=False)
    assert "error: The cache tiny~last3 would be larger than allowed." in said and not jobs(said, "extract")
    rerun.configure(networks={"last": {**LAST, "blocks": 40}})
    said = rerun.snakemake("--cores", "2", other.replace("last1", "last40"), ok=False)
    assert "error: encoders.tiny: The network cannot be cut before this block." in said and "1 to 4" in said
    assert not jobs(said, "")
