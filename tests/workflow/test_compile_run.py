"""A run that lets its encoder be compiled: what is there stays as it is, and growing keeps the way."""

from dataclasses import replace
from typing import Any

import pytest
from conftest import Clone

from unchoke.encoders.compiled import why_eager
from unchoke.encoders.encoder import CPU
from unchoke.signed import read_signed
from unchoke.store.chunks import read_record


def asked(clone: Clone, way: str) -> Clone:
    tiny: dict[str, Any] = {**clone.config["encoders"]["tiny"], "compile": way}
    changed = replace(clone, config={**clone.config, "encoders": {"tiny": tiny}})
    changed.configure()
    return changed


@pytest.mark.skipif(bool(why_eager(CPU)), reason=why_eager(CPU))
def test_auto_leaves_eager_chunks_and_keeps_compiled_ones(rerun: Clone) -> None:
    plans, store = rerun.results / "plans", rerun.results / "features/tiny.zarr"
    said = asked(rerun, "auto").snakemake("--cores", "2", "--dry-run")
    assert "extract_chunk" not in said and "choose_way" not in said, said  # the report alone names the config
    seal = "results/few/features/tiny.sealed.json"
    asked(rerun, "on").snakemake("--cores", "2", seal)
    assert [read_record(store, chunk)["settings"]["compiled_threads"] for chunk in (0, 1)] == [2, 2]
    (plans / "tiny.way.json").unlink()  # as if the images had become fewer: compiling would not pay
    (store / "avg/c/1/0").unlink()
    asked(rerun, "auto").snakemake("--cores", "1", seal)
    assert read_signed(plans / "tiny.way.json", "way")["compiled_threads"] == 2
    assert read_signed(plans / "tiny.compiling.json", "why")["why"] == "as the chunks that are there"
    assert read_record(store, 1)["settings"]["compiled_threads"] == 2
