"""Pure: the exceptions with messages for users, and the exception for images that cannot be read."""


class UnchokeError(Exception):
    """A message for users: the problem, what was found, what was expected, where, and what to do."""

    def __init__(self, problem: str, *, found: str = "", expected: str = "", where: str = "", do: str = "") -> None:
        details = {"found": found, "expected": expected, "where": where, "do": do}
        lines = [f"  {name + ':':<10}{text}" for name, text in details.items() if text]
        super().__init__("\n".join([problem, *lines]))


class SplitError(UnchokeError):
    """A head cannot be trained, chosen or tested on this split; on another random one it may be."""

    def __init__(self, problem: str, *, found: str = "", expected: str = "", where: str = "", do: str = "") -> None:
        super().__init__(problem, found=found, expected=expected, where=where, do=do)
        self.reason = f"{problem.rstrip('.')}: {found}" if found else problem.rstrip(".")
        """The problem in one line."""


class UnreadableImageError(Exception):
    """Why a file gave no pixels; the reason names no folder of the machine."""


def mend(target: object) -> str:
    """What a message tells users to do about a damaged file. target: a declared output of the job that makes it."""
    return f"make it again, with your --configfile: snakemake --cores all --forcerun {target}"
