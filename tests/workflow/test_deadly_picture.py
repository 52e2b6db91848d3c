"""A picture that ends the process that decodes it, in a real run: by SIGKILL, as the kernel does without memory."""

import pandas as pd
import pytest
from conftest import FLAWED, Clone, jobs, store_digests

DEADLY = """
_decode_image = decode_image
def decode_image(data, **how):
    if len(data) == 50:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    return _decode_image(data, **how)
"""


@pytest.mark.xdist_group("run")
def test_a_picture_that_ends_its_process_is_quarantined_and_the_run_goes_on(
    finished: tuple[Clone, str], rerun: Clone
) -> None:
    """The clone's broken file, which has 50 bytes, is deadly now: features keep every byte, its reason is another."""
    rerun.with_own_worker()
    assert not (rerun.folder / "scripts").is_symlink()
    with (rerun.folder / "scripts/unchoke/images/decode.py").open("a") as file:
        file.write(DEADLY)
    for array in ("avg", "max"):
        for chunk in (rerun.results / f"features/tiny.zarr/{array}/c").glob("*/0"):
            chunk.unlink()
    output = rerun.snakemake("--cores", "2")
    assert jobs(output, "extract_chunk") == 3 and "counts as unreadable" in rerun.logs("extract_chunk")
    reasons = pd.read_csv(rerun.results / "quarantine.csv").set_index("path")["reason"]
    assert reasons[FLAWED[0]] == "the process ended twice while this image was decoded" and len(reasons) == 1
    made, expected = store_digests(rerun), store_digests(finished[0])
    assert {path: made[path] for path in expected if "/features/tiny.zarr/" in path} == {
        path: digest for path, digest in expected.items() if "/features/tiny.zarr/" in path
    }
