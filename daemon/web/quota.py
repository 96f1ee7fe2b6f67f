"""How often somebody may ask: so many within a span, counted in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

WATCHED = 20_000
"""Askers that are counted at a time; with one more, the one counted for longest is forgotten."""


class Quota:
    """So many in each span (seconds) that begins with the first one."""

    def __init__(self, most: int, span: float = 60.0) -> None:
        self.most = most
        self.span = span
        self.counts: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()
        """A plain dict would look for its first one through all that were thrown out."""

    def spent(self, asker: Hashable, now: float, cost: int = 1) -> bool:
        """Count what is asked for. True: that was too much, and it is not to be done. `now` is monotonic."""
        since, count = self.counts.get(asker, (now, 0))
        if now - since >= self.span:
            since, count = now, 0
            self.counts.pop(asker, None)
        if asker not in self.counts and len(self.counts) >= WATCHED:
            self.counts.popitem(last=False)
        self.counts[asker] = (since, min(count + cost, 2 * self.most))
        return count + cost > self.most
