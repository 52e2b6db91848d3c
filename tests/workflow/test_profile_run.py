"""``snakemake profile`` by a real run: what it says and writes, and that no result depends on it."""

import json

import pytest
from conftest import Clone, jobs

pytestmark = pytest.mark.xdist_group("run")


def test_a_profile_is_counted_and_makes_nothing_anew_but_the_page(rerun: Clone) -> None:
    rerun.configure(profile={"seconds": 1, "images": 40})
    assert "Nothing to be done" in rerun.snakemake("-n", "--cores", "8")
    output = rerun.snakemake("profile", "--cores", "2", "--resources", "gpu=1")
    assert "profiling extraction of tiny, 40 images at most: about 1 s …" in output
    assert "extraction of tiny: " in output and "images/s, rounds differ by " in output
    profile = json.loads((rerun.results / "profile.json").read_text())["extraction"]["tiny"]
    assert 32 <= profile["images"] + len(profile["unreadable"]) <= 40
    assert "Nothing to be done" not in rerun.snakemake("profile", "-n", "--cores", "8")  # measured anew each time
    again = rerun.snakemake("-n", "--cores", "8")
    assert jobs(again, "write_report") == 1 and jobs(again, "") == 2, again  # and rule all
