"""Pure: a profile as a page on the terminal, and as a table."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

COLUMNS = ("step", "by", "alone_s", "share", "images_per_s", "times", "spread", "saved_s", "beyond_noise")


def table(profiles: Mapping[str, Mapping[str, Any]]) -> str:
    """CSV with a row an encoder and step: seconds an image alone, and the whole run without the step."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["encoder", *COLUMNS])
    for name, profile in profiles.items():
        writer.writerows([name, *(row[column] for column in COLUMNS)] for row in profile["steps"])
    return text.getvalue()


def page(profiles: Mapping[str, Mapping[str, Any]]) -> str:
    """The same for people."""
    return "\n\n".join("\n".join(_lines(name, profile)) for name, profile in profiles.items())


def _lines(name: str, profile: Mapping[str, Any]) -> Iterator[str]:
    yield f"{name}: {profile['verdict']}"
    yield (
        f"{profile['images']} images, {profile['rounds']} rounds, {profile['threads']} threads, {profile['device']}; "
        f"{profile['images_per_s']:,.1f} images/s, rounds differ by {profile['spread']:.0%}"
    )
    yield f"  {'step':<12}{'ms/image':>10}{'share':>8}{'without it':>18}{'gain':>14}"
    for row in profile["steps"]:
        rate, gain = f"{row['images_per_s']:,.1f} images/s", f"{row['times']:.2f} ± {row['spread'] / 2:.2f}"
        yield f"  {row['step']:<12}{1000 * row['alone_s']:>10.2f}{row['share']:>8.1%}{rate:>18}{gain:>14}"
    rest = profile["rest"]
    yield f"  {'rest':<12}{1000 * rest['alone_s']:>10.2f}{rest['share']:>8.1%}"
    yield from (f"  {step}: none, since {reason}" for step, reason in profile["absent"].items())
    if profile["unreadable"]:
        yield f"  {len(profile['unreadable'])} images of the sample cannot be read, and are left out"
    yield "slowest images:"
    for image in profile["slowest"]:
        facts = f"{image['pixels'] / 1e6:.1f} million pixels, {image['format']}, {image['bytes']:,} bytes"
        times = f"{1000 * image['seconds']:.1f} ms, {image['times_median']:.1f} × the median, most in {image['step']}"
        yield f"  {image['path']!a}: {times}; {facts}: {image['why']}"
    yield from _idle(profile["idle"])


def _idle(idle: Mapping[str, Any]) -> Iterator[str]:
    if "reason" in idle:
        yield str(idle["reason"])
    else:
        yield "the card is idle: " + ", ".join(f"{share:.0%} {cause}" for cause, share in idle.items())
