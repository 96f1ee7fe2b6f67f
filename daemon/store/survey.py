"""What the doctor looks at in a shop's rows: how late, how many, how reachable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from daemon.store.database import Connection, Pool
from daemon.store.sql import load

sql = load("survey")


@dataclass(frozen=True, slots=True)
class Lateness:
    """From when orders were placed to when we knew of them: the 95th of a hundred, over the newest 50."""

    orders: int
    late: timedelta


@dataclass(frozen=True, slots=True)
class Left:
    """A shop that is no longer in shops.yaml, and how many recoveries are open there."""

    shop: str
    left_at: datetime
    recoveries: int

    def __str__(self) -> str:
        number = f"{self.recoveries} open recover{'y' if self.recoveries == 1 else 'ies'}"
        return f"shop {self.shop} has {number} and is no longer in shops.yaml"

    @property
    def hint(self) -> str:
        return f"put it back, or end them: `tillbell shop close {self.shop}`"


@dataclass(frozen=True, slots=True)
class Carts:
    """Of the newest thousand open carts."""

    carts: int
    nobody: int
    email: int
    phone: int
    consent: int
    ahead: int
    """Their change lies in the future."""
    slip: timedelta | None
    """Median of the shop's time of change minus ours."""
    dated: int
    """How many tell their time of change."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """Events of one kind; `refused` for those that could not be used, with one reason of them."""

    kind: str
    events: int
    ago: timedelta
    refused: str | None


async def lateness(db: Connection | Pool, shop_id: int) -> Lateness:
    row = await sql.lateness(db, shop_id=shop_id)
    return Lateness(row["orders"], row["late"])


async def hold_late(db: Connection | Pool, shop_id: int, why: Mapping[str, str], now: datetime) -> Sequence[str]:
    """Pause exactly these policies, each with its reason; the names of those that were not paused before."""
    policies = sorted(why)
    reasons = [why[one] for one in policies]
    rows = await sql.hold_late(db, shop_id=shop_id, policies=policies, reasons=reasons, now=now)
    return [row["policy"] for row in rows]


async def left_behind(db: Connection | Pool) -> list[Left]:
    return [Left(row["shop"], row["left_at"], row["recoveries"]) for row in await sql.left_behind(db)]


async def carts(db: Connection | Pool, shop_id: int) -> Carts:
    row = await sql.carts(db, shop_id=shop_id)
    return Carts(**{name: row[name] for name in Carts.__slots__})


async def pushed(db: Connection | Pool, shop_id: int) -> list[Pushed]:
    """By kind, `refused` among them."""
    rows = await sql.pushed(db, shop_id=shop_id)
    return [Pushed(**{name: row[name] for name in Pushed.__slots__}) for row in rows]


async def largest_mail(db: Connection | Pool, shop_id: int) -> int:
    """Octets of text and HTML, without what MIME adds."""
    return cast(int, await sql.largest_mail(db, shop_id=shop_id))
