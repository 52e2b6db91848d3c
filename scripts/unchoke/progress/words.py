"""Pure: durations, rates and counts as people read them."""


def duration(seconds: float) -> str:
    """``0.4 s``, ``8 s``, ``2 min 5 s``, ``3 h 20 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def about(seconds: float) -> str:
    """A duration that is not known well: ``5 s``, ``40 s``, ``3 min``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{max(1, round(seconds))} s"
    if seconds < 55:
        return f"{round(seconds / 5) * 5} s"
    if seconds < 3570:
        return f"{max(1, round(seconds / 60))} min"
    minutes = round(seconds / 600) * 10
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def rate(per_second: float, unit: str) -> str:
    """``0.42 images/s``, ``7.4 images/s``, ``1,240 images/s``."""
    digits = 0 if per_second >= 100 else 1 if per_second >= 1 else 2
    return f"{per_second:,.{digits}f} {unit}/s"


def counted(count: int, noun: str) -> str:
    """``1 job``, ``1,803 images``; noun: its plural, also ``patches`` and ``masks``."""
    singular = noun.removesuffix("es") if noun.endswith("ches") else noun.removesuffix("s")
    return f"{count:,} {singular if count == 1 else noun}"
