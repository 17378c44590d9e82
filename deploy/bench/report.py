"""Figures beside what they are held against."""

from __future__ import annotations

from collections.abc import Sequence

from deploy.bench.load import Measured, percentile


def median(values: Sequence[float]) -> float:
    return percentile(values, 50)


def line(label: str, measured: Measured, after: str = "") -> str:
    """Return rate, p50 and p99 of what the client saw, and the servers' processor time."""
    waited = measured.waited
    return (
        f"  {label:20} {measured.rate:6.0f}/s   p50 {median(waited):7.2f}   "
        f"p99 {percentile(waited, 99):7.2f}   CPU {measured.cpu_ms:5.2f} ms   {after}"
    )


def ratio(value: float, floor: float | None = None, aim: float | None = None) -> str:
    """Return a ratio to hello, and whether it reaches floor and aim."""
    if floor is None or aim is None:
        return f"ratio {value:.3f}"
    reached = "aim" if value >= aim else "floor" if value >= floor else "BELOW THE FLOOR"
    return f"ratio {value:.3f} (floor {floor:.2f}, aim {aim:.2f}: {reached})"


def at_most(value: float, aim: float, unit: str = "ms") -> str:
    reached = "yes" if value <= aim else "NO"
    return f"{value:.2f} {unit} (aim ≤ {aim:g}: {reached})"
