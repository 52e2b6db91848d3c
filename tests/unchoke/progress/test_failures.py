"""Failures: messages of ours stand alone, and nobody sees the frames of a traceback that a user has caused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.errors import UnchokeError
from unchoke.progress.failures import LOG_LINES, failure_lines, message_of_log, said_by_snakemake

WORDS = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=1).filter(
    lambda text: text.strip() and not text.startswith(" ") and text == text.rstrip()
)
NOISE = st.lists(WORDS.filter(lambda text: not text.startswith("error: ")), max_size=30)


@given(NOISE, WORDS, WORDS, WORDS, st.lists(st.just("")))
def test_a_message_of_ours_stands_alone_and_whole(
    noise: list[str], problem: str, found: str, do: str, end: list
) -> None:
    error = UnchokeError(problem, found=found, do=do)
    log = "\n".join([*noise, f"error: {error}", *end])
    assert message_of_log(log) == str(error).splitlines()


@given(NOISE)
def test_of_another_log_the_last_lines_are_shown(lines: list[str]) -> None:
    assert message_of_log("\n".join(lines)) == [line.rstrip() for line in lines][-LOG_LINES:]


def test_what_stood_on_the_line_of_a_progress_bar_before_is_not_shown() -> None:
    assert message_of_log("epoch 1\repoch 2\rerror: Full.\n  do:       free space\nline behind") == [
        "Full.",
        "  do:       free space",
    ]


def test_a_failed_job_is_named_with_its_reason_and_its_log() -> None:
    text = "reads\nerror: The disk is full.\n  where:    /data\n"
    assert failure_lines("encoding", "extract_chunk_b0 17", "logs/17.log", text) == [
        "error: encoding failed: extract_chunk_b0 17",
        "  The disk is full.",
        "    where:    /data",
        "  log:      logs/17.log",
    ]
    assert "killed" in failure_lines("encoding", "extract_chunk_b0 17", "logs/17.log", "")[1]


OURS = """UnchokeError in file "/w/Snakefile", line 18:
The folder is missing.
  where:    /nope
  File "/w/rules/data.smk", line 53, in <module>"""
TRACEBACK = """Traceback (most recent call last):
  File "/lib/site-packages/snakemake/common/configfile.py", line 12, in _load_configfile
    obj = open(configpath_or_obj, encoding="utf-8")
          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

FileNotFoundError: [Errno 2] No such file or directory: 'nope.yaml'
"""


@pytest.mark.parametrize(
    ("text", "first", "others"),
    [
        (OURS, "error: The folder is missing.", ["  where:    /nope"]),
        (
            'WorkflowError in file "/w/locks.smk", line 3:\nThe folder is in use.\n  do:       wait',
            "error: The folder is in use.",
            ["  do:       wait"],
        ),
        (
            "MissingRuleException:\nNo rule to produce results/x (if you use input functions make sure …).",
            "error: There is nothing of this name to make.",
            [
                "  found:    results/x",
                "  expected: a file below the results of this config, or a target: "
                "all, doctor, profile, compare_pipelines, verify",
            ],
        ),
        (TRACEBACK, "error: No such file or directory.", ["  where:    nope.yaml"]),
        ("Error: must be integer or 'all'.", "error: must be integer or 'all'.", []),
        (
            "WorkflowError:\nConfig file is not valid JSON or YAML. In case of YAML, …",
            "error: The config file is not valid YAML.",
            [],
        ),
        (
            TRACEBACK.replace(
                "FileNotFoundError: [Errno 2] No such file or directory: 'nope.yaml'",
                "OSError: [Errno 28] No space left on device",
            ),
            "error: No space left on device.",
            [],
        ),
    ],
)
def test_what_a_user_can_cause_is_said_without_frames(text: str, first: str, others: list[str]) -> None:
    said = said_by_snakemake(text)
    assert said[0] == first
    assert said[1 : 1 + len(others)] == others
    assert not [line for line in said if 'File "' in line or "Error in file" in line]


@pytest.mark.parametrize("name", ["KeyError", "AttributeError"])
def test_a_fault_of_the_program_keeps_its_frames(name: str) -> None:
    text = f'{name} in file "/w/Snakefile", line 18:\nfoo\n  File "/w/rules/data.smk", line 53, in <module>'
    assert said_by_snakemake(text) == text.splitlines()
    deep = TRACEBACK.replace("FileNotFoundError: [Errno 2] No such file or directory: 'nope.yaml'", f"{name}: 'x'")
    assert said_by_snakemake(deep)[-1] == f"{name}: 'x'" and len(said_by_snakemake(deep)) > 3


def test_that_a_job_failed_is_said_once() -> None:
    assert said_by_snakemake("WorkflowError:\nAt least one job did not complete successfully.") == []
    assert said_by_snakemake("Exiting because a job execution failed. Look above for error messages") == []
