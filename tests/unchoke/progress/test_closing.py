"""The last lines of a run, from figures."""

from dataclasses import replace

from unchoke.progress.closing import (
    Images,
    Outcome,
    closing_lines,
    failed_line,
    idle_line,
    partial_lines,
    stopped_line,
)

ROWS = [
    {
        "encoder": "b0",
        "head": f"head{place}",
        "val": 0.9 - place / 100,
        "test": 0.8,
        "test_low": 0.75,
        "test_high": None,
    }
    for place in range(7)
]
OUTCOME = Outcome(
    "signs",
    ROWS,
    "accuracy",
    ("stop", 0.25, 0.2),
    Images(613, 8, 5),
    "results/signs/quarantine.csv",
    "results/signs/report.html",
    "results/signs/experiments.db",
)
STAGES = {"encoding": 200.0, "training heads": 25.0, "a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0, "e": 0.5}


def test_a_finished_run_tells_its_figures_in_a_screen() -> None:
    assert closing_lines(OUTCOME, 58, 264.3, STAGES, "unchoke verify -c my.yaml") == [
        "",
        "signs is done: 58 jobs in 4 min 24 s.",
        "",
        "                       val     test    95 % interval",
        "  b0 head0             0.9000  0.8000  0.7500 to -",
        "  b0 head1             0.8900  0.8000  0.7500 to -",
        "  b0 head2             0.8800  0.8000  0.7500 to -",
        "  b0 head3             0.8700  0.8000  0.7500 to -",
        "  b0 head4             0.8600  0.8000  0.7500 to -",
        "  always stop: chance  0.2500  0.2000",
        "  accuracy; the best on val first, and 2 heads more",
        "",
        "  images  613: 600 used, 8 left out, 5 quarantined, see results/signs/quarantine.csv",
        "  time    encoding 3 min 20 s, training heads 25 s, a 4.0 s, b 3.0 s, the rest 3.5 s",
        "  report  results/signs/report.html",
        "  next    unchoke leaderboard --database results/signs/experiments.db",
        "          unchoke verify -c my.yaml",
    ]


def test_images_without_a_label_are_told_apart() -> None:
    lines = closing_lines(replace(OUTCOME, images=Images(613, 8, 0, 100)), 58, 264.3, STAGES, "unchoke verify")
    assert "  images  613: 505 used, 8 left out, 0 quarantined, 100 without a label" in lines


def test_a_run_without_heads_images_or_report_says_what_there_is() -> None:
    lines = closing_lines(Outcome("blobs"), 1, 0.5, {"encoding": 0.5}, "unchoke verify -c b.yaml")
    assert lines == [
        "",
        "blobs is done: 1 job in 0.5 s.",
        "",
        "  time    encoding 0.5 s",
        "  next    unchoke verify -c b.yaml",
    ]


def test_the_list_of_images_to_label_and_a_floor_that_is_no_class_are_named() -> None:
    row = {**ROWS[0], "task": "multilabel"}
    outcome = Outcome("signs", [row], "mAP", ("shares of train", 0.4, 0.3), to_label="results/signs/to_label.csv")
    lines = closing_lines(outcome, 1, 0.5, {"encoding": 0.5}, "verify")
    assert lines[5] == "  shares of train: chance  0.4000  0.3000"
    assert lines[-2] == "  list    results/signs/to_label.csv"


def test_a_run_of_some_targets_names_them() -> None:
    lines = partial_lines(["a", "b", "c", "d"], 4, 2.0, {"encoding": 2.0})
    assert lines == ["done: a, b, c and 1 more", "  time    2.0 s for 4 jobs: encoding 2.0 s"]


def test_a_stopped_run_counts_chunks_where_some_are_missing_and_else_jobs() -> None:
    assert stopped_line((412, 938), (3, 900)) == "stopped; the same command goes on: 412 of 938 chunks are done"
    assert stopped_line((938, 938), (53, 58)) == "stopped; the same command goes on: 53 of 58 jobs are done"
    assert stopped_line((0, 0), (0, 0)) == "stopped; the same command goes on"


def test_other_ends_take_a_line() -> None:
    assert idle_line("signs", [], "r.html") == "Nothing to do: signs is up to date. Report: r.html"
    assert idle_line("signs", ["x.csv"], "r.html") == "Nothing to do: x.csv is up to date."
    assert failed_line((3, 58), "a.log").startswith("3 of 58 jobs are done; ")
