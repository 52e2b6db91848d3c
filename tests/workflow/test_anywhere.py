"""Runs from folders that are no clone: from an installed wheel, and as a module of another Snakefile."""

import subprocess
import sys

import yaml
from conftest import CONFIG, ENVIRONMENT, REPOSITORY, assert_same_bytes, jobs, make_clone
from wheels import build_wheel, unpack

ELSEWHERE = "else where {3f2a} größe"
MODULE = """
rule everything:
    input:
        "copy.csv",


module unchoke:
    snakefile:
        "{snakefile}"
    config:
        config["images"]


use rule * from unchoke as u_*


rule copy:
    input:
        "results/few/quarantine.csv",
        rules.u_all.input,
    output:
        "copy.csv",
    shell:
        "cp {{input[0]:q}} {{output:q}}"
"""


def snakemake(folder, *arguments, **environment):
    """Output of a Snakemake that starts in a folder without workflow and configs."""
    command = [sys.executable, "-m", "snakemake", *arguments, "--quiet", "host"]
    environment = {**ENVIRONMENT, **environment}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def folder_of_images(folder):
    """A folder with the images of a clone and nothing else."""
    made = make_clone(folder)
    for file in [*folder.iterdir()]:
        if file.is_symlink() or file.is_file():
            file.unlink()
    return made


def states(folder):
    """Time and size of every file below a folder, but for Python's caches of its code."""
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in files}


def test_an_installed_wheel_runs_resumes_and_reports_and_is_not_written_to(finished, tmp_path):
    site = unpack(build_wheel(tmp_path / "built"), tmp_path / "site {packages}")
    clone = folder_of_images(tmp_path / ELSEWHERE)
    start = tmp_path / "start"
    start.mkdir()
    (start / "my.yaml").write_text(yaml.safe_dump(CONFIG))
    before = states(site)
    own = {"PYTHONPATH": str(site), "UNCHOKE_WARM_STAY": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = ["--snakefile", str(site / "unchoke/checkout/workflow/Snakefile"), "--directory", str(clone.folder)]
    arguments += ["--configfile", "my.yaml"]
    snakemake(start, *arguments, "--cores", "4", "--resources", "gpu=1", **own)
    assert_same_bytes(clone, finished[0])
    (clone.results / "features/tiny.zarr/avg/c/1/0").unlink()
    again = snakemake(start, *arguments, "--cores", "4", **own)
    assert jobs(again, "extract_chunk") == 1
    snakemake(start, *arguments, "--report", "page.html", **own)
    assert_same_bytes(clone, finished[0])
    assert (clone.folder / "page.html").is_file() or (start / "page.html").is_file()
    assert states(site) == before
    assert [file.name for file in start.iterdir() if file.name != "page.html"] == ["my.yaml"]


def test_a_module_of_another_snakefile_runs_resumes_and_reports(finished, tmp_path):
    clone = folder_of_images(tmp_path / ELSEWHERE)
    (clone.folder / "Snakefile").write_text(MODULE.format(snakefile=REPOSITORY / "workflow/Snakefile"))
    (clone.folder / "my.yaml").write_text(yaml.safe_dump({"images": CONFIG, "other": {"date": "2026-01-02"}}))
    arguments = ["--configfile", "my.yaml", "--cores", "4"]
    first = snakemake(clone.folder, *arguments)
    assert_same_bytes(clone, finished[0])
    assert (clone.folder / "copy.csv").read_bytes() == (clone.results / "quarantine.csv").read_bytes()
    assert jobs(first, "u_extract_chunk") == 3
    (clone.results / "features/tiny.zarr/avg/c/1/0").unlink()
    again = snakemake(clone.folder, "u_all", *arguments)
    assert jobs(again, "u_extract_chunk") == 1
    snakemake(clone.folder, *arguments, "--report", "page.html")
    assert "mistakes" in (clone.folder / "page.html").read_text()
    assert_same_bytes(clone, finished[0])
    without_prefix = (clone.folder / "Snakefile").read_text().replace(" as u_*", "").replace("u_all", "all")
    (clone.folder / "Snakefile").write_text(without_prefix)
    assert "Nothing to be done" in snakemake(clone.folder, "all", "-n", *arguments)
