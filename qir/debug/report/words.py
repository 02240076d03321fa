"""Numbers as the reports print them."""

from __future__ import annotations

from qir.debug.report.data import MOST_DECIBELS


def decibels_text(value: float | None) -> str:
    """A ratio in dB; the limits of what reports hold have words."""
    if value is None:
        return "–"
    if value >= MOST_DECIBELS:
        return "equal"
    return "no likeness" if value <= -MOST_DECIBELS else f"{value:.1f} dB"


def count_text(value: int | None) -> str:
    """A large number with a unit: 1.23 M."""
    if value is None:
        return "–"
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= 10 * size or (unit != "k" and value >= size):
            return f"{value / size:.2f} {unit}"
    return f"{value:,}"


def short_bytes(value: int | None) -> str:
    """A size in at most six characters and a unit."""
    if value is None:
        return "not measured"
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if value >= 10 * size or (unit == "MB" and value >= size):
            return f"{value / size:.1f} {unit}"
    return f"{value:,} B"


def seconds_text(value: float | None) -> str:
    """A duration."""
    if value is None:
        return "–"
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.1f} ms"


def number_text(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}"


def plural(count: int, name: str, several: str = "") -> str:
    """A count with its noun; `several` where that takes more than an s."""
    return f"{count:,} {name if count == 1 else several or name + 's'}"
