"""Named places on a message's way, at which a test may let the process die. Otherwise nothing happens there."""

from __future__ import annotations


def reached(point: str) -> None:
    """Call it through this module, `points.reached("…")`: `daemon.faults` puts something else in its place."""
