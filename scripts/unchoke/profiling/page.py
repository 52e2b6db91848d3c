"""Pure: profiles as a page on the terminal, and as a table."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from unchoke.profiling.verdict import rate_text

COLUMNS = ("step", "by", "alone_s", "share", "images_per_s", "times", "spread", "saved_s", "beyond_noise")
DISTURBED = 0.2
"""Distance of the quartiles of the whole run's time over its median from which other work disturbs a profile."""
Profiles = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By ``extraction`` and ``training``, by encoder and by network: the profile."""


def table(profiles: Profiles) -> str:
    """CSV with a row a profile and step: seconds an image alone, and the whole run without the step.

    Settings that make steps faster follow the steps of their profile. What cannot be measured is left empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["of", "name", *COLUMNS])
    for of, named in profiles.items():
        for name, profile in named.items():
            for row in (*profile["steps"], *profile["remedies"]):
                writer.writerow([of, name, *(row.get(column) for column in COLUMNS)])
    return text.getvalue()


def page(profiles: Profiles) -> str:
    """The same for people."""
    parts = [_lines(of, name, profile) for of, named in profiles.items() for name, profile in named.items()]
    return "\n\n".join("\n".join(part) for part in parts)


def _lines(of: str, name: str, profile: Mapping[str, Any]) -> Iterator[str]:
    unit = unit_of(profile)
    yield f"{of} of {name}: {profile['verdict']}"
    yield _circumstances(profile)
    if profile["spread"] > DISTURBED:
        yield "Other work of this machine disturbs the measurement: repeat it when the machine is idle."
    yield f"  {'step':<12}{'ms each':>10}{'share':>8}{'without it':>18}{'gain':>14}"
    for row in profile["steps"]:
        yield f"  {row['step']:<12}{1000 * row['alone_s']:>10.2f}{row['share']:>8.1%}{_gain(row, unit)}"
    rest = profile["rest"]
    yield f"  {'rest':<12}{1000 * rest['alone_s']:>10.2f}{rest['share']:>8.1%}"
    for row in profile["remedies"]:
        yield f"  {row['step']:<30}{_gain(row, unit)}"
    for step, reason in profile["absent"].items():
        yield f"  {step}: none, since {reason}"
    if profile.get("unreadable"):
        yield f"  {len(profile['unreadable'])} images of the sample cannot be read, and are left out"
    yield from _slowest(profile.get("slowest", ()))
    yield from _idle(profile["idle"])


def unit_of(profile: Mapping[str, Any]) -> str:
    """What a profile counts, in the plural: images, or patches of them."""
    return str(profile.get("unit", "images"))


def _circumstances(profile: Mapping[str, Any]) -> str:
    batch, unit = f" in steps of {profile['batch']}" if "batch" in profile else "", unit_of(profile)
    return (
        f"{profile['images']} {unit}{batch}, {profile['rounds']} rounds, {profile['threads']} threads, "
        f"{profile['device']}; {rate_text(profile['images_per_s'])} {unit}/s, rounds differ by {profile['spread']:.0%}"
    )


def _gain(row: Mapping[str, Any], unit: str) -> str:
    if row["times"] is None:
        return f"{'-':>18}{'-':>14}"
    rate, gain = f"{rate_text(row['images_per_s'])} {unit}/s", f"{row['times']:.2f} ± {row['spread'] / 2:.2f}"
    return f"{rate:>18}{gain:>14}"


def _slowest(images: Any) -> Iterator[str]:
    if images:
        yield "slowest images until they are tensors:"
    for image in images:
        facts = f"{image['width']} × {image['height']} px, {image['format']}, {image['bytes']:,} bytes"
        times = f"{1000 * image['seconds']:.1f} ms, {image['times_median']:.1f} × the median, most in {image['step']}"
        yield f"  {image['path']!a}: {times}; {facts}: {image['why']}"


def _idle(idle: Mapping[str, Any]) -> Iterator[str]:
    if "reason" in idle:
        yield str(idle["reason"])
    else:
        yield "the card is idle: " + ", ".join(f"{share:.0%} {cause}" for cause, share in idle.items())
