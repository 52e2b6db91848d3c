"""The state of a run: what events bring about, whatever their order, and the rates that follow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.progress.stages import stage_of
from unchoke.progress.state import Run, Sizes

ENCODING = stage_of("extract_chunk")
SIZES = Sizes("images", 100, {"extract_chunk": 16})


def planned(chunks: int = 7) -> Run:
    run = Run(sizes=SIZES)
    run.plan([("extract_chunk_b0", chunk) for chunk in range(chunks)] + [("train_head", None)] * 2 + [("all", None)])
    return run


def test_rows_of_all_chunks_are_those_of_the_manifest() -> None:
    run = planned()
    assert run.due == 9
    assert run.counts[ENCODING].rows_due == 100  # 6 × 16 and a last chunk of 4


@pytest.mark.parametrize(
    ("has_words", "expected"),
    [(False, ["training mask heads", "stitching masks"]), (True, ["training text heads", "stitching maps"])],
)
def test_stages_of_words_are_called_so(has_words: bool, expected: list[str]) -> None:
    run = Run(has_words=has_words)
    for number, rule in enumerate(("train_mask_head", "stitch_masks", "build_patches")):
        run.start(number, rule, {}, [], 0)
        run.finish(number, 9 - number)
    assert list(run.seconds_by_stage(9)) == [*expected, "listing images"]


@given(st.permutations(range(7)), st.integers(1, 7))
def test_every_job_counts_once_in_whatever_order_jobs_end(order: list[int], workers: int) -> None:
    run, now, waiting = planned(), 0.0, list(order)
    while waiting:
        batch, waiting = waiting[:workers], waiting[workers:]
        for chunk in batch:
            run.start(chunk, "extract_chunk_b0", {"chunk": str(chunk)}, [], now)
        assert len(run.running) == len(batch)
        now += 2.0
        for chunk in reversed(batch):
            run.finish(chunk, now)
            run.finish(chunk, now)  # said twice
    count = run.counts[ENCODING]
    assert (count.done, count.running, count.rows_done) == (7, 0, 100)
    assert count.is_over and count.left_s(now) == 0
    assert count.seconds(now + 50) == pytest.approx(now)  # idle time does not count
    assert run.done == 7


def test_the_pace_leaves_out_the_first_job_that_started_the_worker() -> None:
    run = planned()
    for chunk, (begins, ends) in enumerate([(0, 20), (20, 21), (21, 22), (22, 23), (23, 24)]):
        run.start(chunk, "extract_chunk_b0", {"chunk": str(chunk)}, [], begins)
        run.finish(chunk, ends)
    count = run.counts[ENCODING]
    assert count.rate(24) == pytest.approx(16)  # 64 images in 4 s
    assert count.left_s(24) == pytest.approx(2)


def test_what_is_left_in_all_says_whether_some_of_it_is_unknown() -> None:
    run = planned()
    assert run.left_s(0) == (0, True)
    run.start(0, "extract_chunk_b0", {"chunk": "0"}, [], 0)
    run.finish(0, 3)
    assert run.left_s(3) == (18, True)  # six chunks at 3 s; of heads nothing is known
    run.start(10, "train_head", {}, [], 3)
    run.finish(10, 5)
    assert run.left_s(5) == (20, False)


def test_a_checkpoint_adds_jobs_and_a_failed_job_is_not_done() -> None:
    run = Run()
    run.plan([("build_manifest", None)])
    run.start(1, "build_manifest", {}, ["a.log"], 0)
    run.finish(1, 1)
    assert (run.done, run.due) == (1, 1)
    run.sizes = SIZES
    run.plan([("build_manifest", None), ("extract_chunk_b0", 0)])
    assert (run.done, run.due, run.counts[ENCODING].rows_due) == (1, 2, 16)
    run.start(2, "extract_chunk_b0", {"chunk": "0"}, [], 2)
    job = run.end(2, 5)
    assert job and job.name == "extract_chunk_b0 0"
    assert (run.done, run.counts[ENCODING].seconds(9)) == (1, 3)


def test_a_job_that_nobody_announced_counts() -> None:
    run = Run()
    run.start(5, "draw_head", {"head": "ridge"}, [], 0)
    run.finish(5, 1)
    assert (run.done, run.due) == (1, 1)
    assert run.finish(99, 1) is None
