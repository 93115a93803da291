"""Percentiles, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence

SHARES = (50, 95, 99)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` per cent of the values are not above, interpolated between the two nearest of them."""
    ordered = sorted(values)
    position = (len(ordered) - 1) * share / 100
    below = int(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """By name (p50, p95, p99); nothing for no values."""
    return {f"p{share}": percentile(values, share) for share in SHARES if values}


def in_ms(seconds: Sequence[float]) -> dict[str, float]:
    return percentiles([value * 1000 for value in seconds])


def cells(named: dict[str, float], digits: int = 0) -> list[str]:
    """For a row of a table, in the order of `SHARES`."""
    return [f"{named[f'p{share}']:.{digits}f}" if named else "-" for share in SHARES]
