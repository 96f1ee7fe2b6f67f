"""What a goal's measurement hands back: ratios with their bounds, and the bare figures behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Without a bound it is a figure to know, not a goal to meet."""

    goal: str
    what: str
    figure: str
    ratio: float | None = None
    bound: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        if self.ratio is None or self.bound is None:
            return None
        return self.ratio <= self.bound if self.at_most else self.ratio >= self.bound

    def as_json(self) -> dict[str, Any]:
        names = ("goal", "what", "figure", "ratio", "bound", "at_most")
        return {name: getattr(self, name) for name in names} | {"met": self.met}


@dataclass(slots=True)
class Measured:
    """All lines of one goal. `figures` are per second, µs, MiB or counts, as their names say."""

    rows: list[Row] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def rate(per_second: float) -> str:
    return f"{per_second:,.0f}/s"
