"""Refusals by a policy: one recipient's own, or one aimed at the sender? A single one does not tell, several do."""

from __future__ import annotations

from datetime import timedelta
from typing import Generic, TypeVar

from channels.base import Misconfigured, NotSent, Retry

MANY = 3
"""So many messages in a row, with none taken between them: then it is the sender."""

A_WHILE = timedelta(hours=1)
"""Until one that was refused alone is tried again: sooner would look like what such policies are made against."""

K = TypeVar("K")


class ByPolicy(Retry):
    """Refused for a reason that may lie with the sender as well as with this recipient (5.7.1 and its like)."""

    def __init__(self, because: str, *, code: str = "") -> None:
        super().__init__(because, code=code, after=A_WHILE)


class Suspicion(Generic[K]):
    """What one provider has refused by policy since it last took something, by the messages' keys."""

    def __init__(self) -> None:
        self.refused: set[K] = set()

    def lifted(self) -> None:
        """The provider has taken a message."""
        self.refused.clear()

    def judged(self, key: K, error: ByPolicy) -> NotSent:
        """What to raise for this refusal: it stays one message's matter, or the sender is at fault."""
        if len(self.refused) < MANY:
            self.refused.add(key)
        return Misconfigured(str(error), code=error.code) if len(self.refused) >= MANY else error
