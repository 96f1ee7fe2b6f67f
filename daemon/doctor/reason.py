"""One thing that is amiss, or worth knowing: a sentence, and what to do about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from daemon.context import Context


@dataclass(frozen=True, slots=True)
class Reason:
    about: str
    """One short word for the question, such as `bell`: the label of the metric. Never a name, an id or an address."""
    text: str
    """A sentence without a full stop, for the operator; no address of a person in it."""
    hint: str = ""
    """What to do about it."""
    amiss: bool = True
    """False: worth knowing, but intended, such as a pause."""

    def __str__(self) -> str:
        return f"{self.text}; {self.hint}" if self.hint else self.text


Ask = Callable[[Context, datetime], Awaitable[list[Reason]]]
"""Asks one question of this installation at that shop time; an empty list: all is well. May raise: that is a reason."""


@dataclass(frozen=True, slots=True)
class Question:
    about: str
    ask: Ask
    every: float = 10.0
    """Seconds until it is asked again; a slow one is asked at most for a hundredth of the time."""
