"""Pure: the lines of the doctor's page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the page."""

    subject: str
    text: str
    fine: bool = True


def page(findings: list[Finding]) -> str:
    """The findings for a terminal; a mark stands before each that prevents the run."""
    width = max(len(finding.subject) for finding in findings)
    lines = [f"{'  ' if found.fine else '! '}{found.subject.ljust(width)}  {found.text}" for found in findings]
    stops = sum(not finding.fine for finding in findings)
    verdict = f"{stops} of these must be mended first." if stops else "This machine can run this config."
    return "\n".join([*lines, "", verdict])


def one_line(error: Exception) -> str:
    """A message for users as the text of a finding."""
    return "; ".join(" ".join(line.split()) for line in str(error).splitlines())


def duration(seconds: float) -> str:
    """``under a minute``, ``7 min`` or ``2 h 05 min``."""
    minutes = round(seconds / 60)
    if not minutes:
        return "under a minute"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
