"""Pure: what a user reads of a failed run, from the end of a job's log or from Snakemake's own message."""

import re
from collections.abc import Sequence

from unchoke.progress.stages import SPEAKING

LOG_LINES = 15
"""Lines of a log that are shown where it holds no message of ours."""
_MARK = "error: "
_FRAME = re.compile(r'  File ".*", line \d+(, in .*)?$')
_OF_USERS = {
    *("Error", "ApiError", "CliException", "WorkflowError", "UnchokeError", "SplitError", "LockException"),
    *("MissingRuleException", "MissingInputException", "MissingOutputException", "ProtectedOutputException"),
    *("AmbiguousRuleException", "IncompleteFilesException", "IncompleteCheckpointException"),
}
_LAST = re.compile(r"(?:[\w.]+\.)?(\w+): (.*)", re.S)
_SYSTEM = re.compile(r"\[Errno \d+\] ([^:]+)(?:: '(.*)')?")
_OF_A_JOB = re.compile(r"RuleException:\nCalledProcessError ")
_SAID_ELSEWHERE = ("At least one job did not complete successfully", "Exiting because a job execution failed")


def message_of_log(text: str) -> list[str]:
    """The last message of ours in a log, whole and alone; else the log's last lines, less a traceback's frames.

    text: of the log. A message of ours begins with ``error: ``; its details are indented.
    """
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    begins = [place for place, line in enumerate(lines) if line.startswith(_MARK)]
    if not begins:
        return lines[-LOG_LINES:]
    first = begins[-1]
    message = [lines[first].removeprefix(_MARK)]
    for line in lines[first + 1 :]:
        if not line.startswith("  "):
            break
        message.append(line)
    return message


def failure_lines(stage: str, job: str, log: str, text: str) -> list[str]:
    """A failed job: which one, why, and where its log is.

    stage: in words. job: its rule and wildcards. log: path of the log, '' where it has none. text: of the log.
    """
    message = message_of_log(text)
    if not message:
        message = ["It wrote nothing into its log: it was killed, or its command did not start."]
    where = [f"  {'log:':<10}{log}"] if log else []
    return [f"error: {stage} failed: {job}", *(f"  {line}" for line in message), *where]


def said_by_snakemake(text: str) -> list[str]:
    """Snakemake's message of an error, without its place in the workflow and without frames of a traceback.

    A message that nobody but the program's authors can act on, such as a KeyError in a rule, stays as it is. Empty for
    messages that only repeat that a job failed.
    """
    if any(said in text for said in _SAID_ELSEWHERE) or _OF_A_JOB.match(text):
        return []
    lines = [line for line in text.strip("\n").splitlines() if line.strip()]
    if not lines:
        return []
    if lines[0].startswith(("Traceback", "Full Traceback")) or "\n    ~" in text or _has_deep_frames(lines):
        return _of_traceback(text, lines)
    if not _is_for_users(lines[0]):
        return lines
    kept = [line for line in lines[1:] if not _FRAME.match(line)]
    return _mended(lines[0], kept)


def _is_for_users(first: str) -> bool:
    """Whether the first line names an exception that a config, a file or a flag can cause."""
    return first.split(" ")[0].rstrip(":.") in _OF_USERS


def _mended(first: str, kept: list[str]) -> list[str]:
    if first.startswith("Error: "):
        return [f"error: {first.removeprefix('Error: ')}", *kept]
    if first.startswith("MissingRuleException") and kept:
        found = re.match(r"No rule to produce (.*?) \(if you use input functions", kept[0])
        if found:
            return [
                "error: There is nothing of this name to make.",
                f"  found:    {found[1]}",
                f"  expected: a file below the results of this config, or a target: {', '.join(('all', *SPEAKING))}",
                "  do:       see what there is to make: snakemake --summary, with your --configfile",
            ]
    if kept and kept[0].startswith("Config file is not valid JSON or YAML"):
        return [
            "error: The config file is not valid YAML.",
            "  do:       look for a missing quote, bracket or colon, and for tabs: YAML is indented by blanks",
        ]
    return [f"error: {kept[0]}", *kept[1:]] if kept else [f"error: {first}"]


def _has_deep_frames(lines: Sequence[str]) -> bool:
    return any(re.match(r'\s+File ".*site-packages/snakemake/', line) for line in lines)


def _of_traceback(text: str, lines: list[str]) -> list[str]:
    """The last line of a traceback, where a user can cause it: a missing file, a full disk, a flag without a value."""
    last = next((line for line in reversed(lines) if not line.startswith(" ") and _LAST.match(line)), "")
    named = _LAST.match(last)
    if named and (system := _SYSTEM.match(named[2])) and (way := _way_out(text, named[1], system[1])):
        where = [f"  where:    {system[2]}"] if system[2] else []
        return [f"error: {system[1]}.", *where, f"  do:       {way}"]
    if "resources.py" in text and named and named[1] == "ValueError":
        return [
            "error: --resources needs a name and a number each.",
            "  expected: for example --resources gpu=1 mem_mb=8000",
            "  do:       write the targets before --resources, or behind --: snakemake … --resources gpu=1 -- TARGET",
        ]
    return lines


def _way_out(text: str, name: str, problem: str) -> str:
    """What to do about an error of the system; empty where no user has caused it."""
    if problem in ("No space left on device", "Disk quota exceeded"):
        return "free space, and run the same command again: it goes on"
    if name == "PermissionError":
        return "give yourself the right to read and write there, or run in another folder"
    if "configfile.py" in text:
        return "correct the path; write targets before --configfile, which takes every word behind it for a config file"
    return ""
