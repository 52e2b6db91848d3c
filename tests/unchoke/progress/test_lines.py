"""Lines: what is drawn anew, and what stays, in a pipe and above a live area."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from unchoke.progress.lines import LONG_S, Diary, Line, bar, live_lines
from unchoke.progress.state import Run, Sizes


def text(line: Line) -> str:
    return "".join(piece for piece, _ in line)


def encoding(done: int = 2) -> Run:
    """29 chunks of which some are done, two seconds each, and the next one runs; heads wait."""
    run = Run(sizes=Sizes("images", 1803, {"extract_chunk": 64}))
    run.plan([("extract_chunk_b0", chunk) for chunk in range(29)] + [("train_head", None)] * 3)
    for chunk in range(done):
        run.start(chunk, "extract_chunk_b0", {"chunk": str(chunk)}, [], 2.0 * chunk)
        run.finish(chunk, 2.0 * chunk + 2)
    run.start(done, "extract_chunk_b0", {"chunk": str(done)}, [], 2.0 * done)
    return run


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 80))
def test_a_bar_is_full_only_where_all_is_done(done: int, due: int, width: int) -> None:
    shown = text(bar(done, due, width))
    assert len(shown) == width
    assert (set(shown) == {"━"}) == (0 < due <= done)


def test_the_live_area_says_all_that_matters() -> None:
    run = encoding()
    run.quarantined = {722, 1447}
    whole, stage = map(text, live_lines(run, "digits", {2: "32 images at once"}, 4.0))
    assert whole.endswith("digits · 2 of 32 jobs · 4.0 s · over 55 s left · 2 quarantined")  # 27 chunks at 2 s
    assert stage == "  encoding             128 of 1,803 images · 32.0 images/s · 55 s left  32 images at once"
    assert max(map(len, (whole, stage))) <= 100


def test_a_run_over_words_says_words() -> None:
    run = Run(has_words=True)
    run.start(1, "train_mask_head", {"head": "db"}, [], 0)
    assert text(live_lines(run, "signs", {}, 9)[1]).startswith("  training text heads ")
    run.finish(1, 9)
    said = [text(line) for line in Diary(keeps_all=True).news(run, "signs", {}, 9)]
    assert said == ["✓ training text heads  1 job · 9.0 s"]


def test_the_job_that_waits_for_the_card_is_the_one_that_is_heard() -> None:
    run = encoding()
    run.start(99, "extract_chunk_b0", {"chunk": "9"}, [], 4.0)
    notes = {2: "waiting for graphics card GPU-1: held by process 7", 99: "reads"}
    assert text(live_lines(run, "digits", notes, 5.0)[1]).endswith("held by process 7")


def test_a_pipe_gets_few_lines_and_each_once() -> None:
    run, diary, said = encoding(0), Diary(keeps_all=True), []
    for tenth in range(29 * 20):
        now = tenth / 10
        if tenth % 20 == 19:
            run.finish(tenth // 20, now)
            if tenth < 28 * 20:
                run.start(tenth // 20 + 1, "extract_chunk_b0", {"chunk": str(tenth // 20 + 1)}, [], now)
        said += [(now, text(line)) for line in diary.news(run, "digits", {}, now)]
    beginning, end = said
    assert LONG_S < beginning[0] < LONG_S + 0.2 and beginning[1] == "  encoding             1,803 images …"
    assert end[1].startswith("✓ encoding             1,803 images · 29 jobs · 58 s · ")


def test_a_long_job_is_heard_of_once_a_minute_in_a_pipe() -> None:
    run, diary = Run(), Diary(keeps_all=True)
    run.plan([("train_member", None)])
    run.start(1, "train_member", {"network": "tuned"}, [], 0)
    said = [(second, diary.news(run, "signs", {1: "epoch 3 of 10"}, second)) for second in range(300)]
    times = [second for second, lines in said if lines]
    assert times[0] == LONG_S + 1 and {later - earlier for earlier, later in pairwise(times)} == {60}
    assert "epoch 3 of 10" in text(said[times[1]][1][0])


def test_above_a_live_area_only_ends_of_stages_stay() -> None:
    run, diary = encoding(28), Diary(keeps_all=False)
    notes = {28: "waiting for graphics card GPU-1"}
    assert [line for now in range(56, 300) for line in diary.news(run, "digits", notes, now)] == []
    run.finish(28, 300)
    assert len(diary.news(run, "digits", {}, 300)) == 1
    assert diary.news(run, "digits", {}, 301) == []


def test_whom_a_job_waits_for_is_said_once_in_a_pipe() -> None:
    run, diary = encoding(), Diary(keeps_all=True)
    run.started_s, note = 0.0, {2: "waiting for graphics card GPU-1: held by process 7"}
    said = [text(line) for now in (4.0, 4.5, 4.9) for line in diary.news(run, "digits", note, now)]
    assert said == ["  waiting for graphics card GPU-1: held by process 7"]
