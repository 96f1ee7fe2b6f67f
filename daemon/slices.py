"""Long reckoning in slices: whoever answers, claims or speaks to a relay meanwhile does not wait for all of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from daemon.clock import monotonic

T = TypeVar("T")

SLICE = 0.002
"""Seconds of reckoning after which everybody else in this process has a turn."""


async def in_slices(items: Iterable[T]) -> AsyncIterator[T]:
    """The items, in order. What the loop around it does with each counts into the slice."""
    since = monotonic()
    for item in items:
        yield item
        if monotonic() - since > SLICE:
            await asyncio.sleep(0)
            since = monotonic()
