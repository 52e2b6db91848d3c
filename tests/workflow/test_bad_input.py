"""Bad input stops the run with a message that says what to do, and before any job where the config is at fault."""

import re
import subprocess
from pathlib import Path

import pytest
from conftest import CONFIG, ODD, Clone, jobs

TINY = CONFIG["encoders"]["tiny"]


def test_a_misspelt_key_stops_the_run_before_any_job(clone: Clone) -> None:
    clone.configure(chunk_sise=3)
    output = clone.snakemake("--cores", "1", ok=False)
    assert "unknown key 'chunk_sise': did you mean 'chunk_size'?" in output
    assert not (clone.folder / "results").exists()


def test_a_missing_folder_is_named(clone: Clone) -> None:
    clone.configure(dataset={"name": "few", "kind": "folder", "path": "imagse"})
    assert "The folder of images is missing" in clone.snakemake("--cores", "1", ok=False)


def test_an_unknown_model_names_the_nearest(clone: Clone) -> None:
    clone.configure(encoders={"tiny": {**TINY, "model": "test_resnett"}})
    assert "did you mean 'test_resnet'?" in clone.snakemake("-n", ok=False)


def test_a_pool_that_a_model_lacks_stops_the_run_before_any_job(clone: Clone) -> None:
    lacking = {**TINY, "pools": [*TINY["pools"], "cls"]}
    clone.configure(cleaning={}, encoders={"fine": TINY, "lacking": lacking})
    output = clone.snakemake("--cores", "2", ok=False)
    assert "encoders.lacking: The encoder has no pool 'cls'" in output
    assert "No job was started" in output
    assert not (clone.folder / "results").exists()  # in which even the list of the images would be
    clone.snakemake("--cores", "2", "results/few/findings.csv")  # which needs no encoder, and does not wait for one


def test_weights_that_do_not_fit_name_the_tensors(clone: Clone) -> None:
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model("test_vit", num_classes=0).state_dict(), clone.folder / "vit.safetensors")
    clone.configure(encoders={"tiny": {**TINY, "weights": "vit.safetensors"}})
    output = clone.snakemake("--cores", "1", "results/few/features/tiny.zarr/avg/c/0/0", ok=False)
    assert "The weights do not fit the model" in output and "conv1.0.weight is missing" in output


def test_too_many_bad_images_stop_before_any_head(clone: Clone) -> None:
    clone.configure(dataset={**clone.config["dataset"], "max_bad_share": 0.01})
    output = clone.snakemake("--cores", "2", ok=False)
    assert "1 of 47 (2.1%); 1 × broken image" in output
    assert jobs(output, "train_head") == 0
    assert "0/broken.png" in (clone.results / "quarantine.csv").read_text()  # the list stays to be read


@pytest.mark.parametrize("cleaning", [{}, None], ids=["fingerprints", "listing"])
def test_too_many_unusable_images_stop_the_run_before_one_is_encoded(clone: Clone, cleaning: object) -> None:
    clone.configure(cleaning=cleaning)
    files = sorted((clone.folder / ODD).rglob("*.png"))
    for file in files[: len(files) * 6 // 10]:  # truncated, which fingerprints see; empty, which the list sees
        file.write_bytes(file.read_bytes()[: 60 if cleaning is not None else 0])
    output = clone.snakemake("--cores", "2", ok=False)
    assert re.search(r"(2[89]|30) of 47 \(\d+\.\d%\); ", output)
    assert jobs(output, "extract_chunk") == 0 and not (clone.results / "features").exists()
    assert (clone.results / "unusable.csv").read_text().count("\n") > 28  # the list stays to be read


def test_a_read_only_results_folder_is_named(clone: Clone, tmp_path: Path) -> None:
    results = clone.folder / "results"
    results.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", results], capture_output=True).returncode:
        pytest.skip("no right to mount a read-only file system here")
    try:
        assert "Read-only file system" in clone.snakemake("--cores", "1", ok=False)
    finally:
        subprocess.run(["umount", results], check=True)


@pytest.mark.xdist_group("killed")  # among the first: it is the longest
def test_a_full_disk_loses_nothing_that_is_finished(clone: Clone) -> None:
    results = clone.folder / "results"
    results.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", results], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small file system here")
    try:
        output = clone.snakemake("--cores", "1", ok=False)
        assert "The disk is full" in output or "No space left on device" in output
        assert not list(results.rglob(".*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=20m", results], check=True)
        clone.snakemake("--cores", "1")
        clone.snakemake("verify")
    finally:
        subprocess.run(["umount", results], check=True)
