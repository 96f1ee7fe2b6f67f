"""What the rules are told about recoveries, read in one query for a whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from daemon.slices import in_slices
from daemon.store.database import Connection, Pool
from daemon.store.sql import load
from rules.facts import Bought, Cart, Consent, Counted, Facts, Line, Person, Taken

sql = load("facts")


@dataclass(frozen=True, slots=True, repr=False)
class Browser:
    """Where it is reached, and its keys, base64url."""

    endpoint: str
    p256dh: str
    auth: str


@dataclass(frozen=True, slots=True)
class Case:
    """A recovery as the flow needs it, with the facts as the rules see them."""

    recovery_id: int
    person_id: int
    held_out: bool
    rehearsal: bool
    policy_hash: str
    policy_name: str
    wake_at: datetime | None
    open: bool
    facts_no: int
    locale: str
    first_name: str
    facts: Facts
    lines: list[dict[str, Any]]
    total_is_estimate: bool
    recovery_url: str
    may_be_written_to: bool
    browsers: Sequence[Browser] = ()
    """Those of theirs that take a push, the one seen last first."""


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """What is the same for every recovery of a shop."""

    zone: str
    notice_since: datetime | None
    horizon: datetime
    """Messages before this instant count for no cap."""
    most: int = 200
    """So many of a person's newest messages are counted."""
    texts_to: frozenset[str] = frozenset()
    """Countries (ISO 3166-1) whose numbers get texts."""
    push_key: str = ""
    """Browsers that subscribed with another key get no pushes."""


async def of_recoveries(
    db: Connection | Pool, shop_id: int, recoveries: Sequence[int], shop: ShopFacts
) -> dict[int, Case]:
    """By recovery; those that do not exist are not there."""
    rows = await sql.of_recoveries(
        db,
        shop_id=shop_id,
        recoveries=sorted(set(recoveries)),
        horizon=shop.horizon,
        most=shop.most,
        push_key=shop.push_key,
    )
    return {row["id"]: _case(row, shop) async for row in in_slices(rows)}


def _case(row: Any, shop: ShopFacts) -> Case:
    return Case(
        recovery_id=row["id"],
        person_id=row["person_id"],
        held_out=row["held_out"],
        rehearsal=row["rehearsal"],
        policy_hash=row["policy_hash"],
        policy_name=row["policy_name"],
        wake_at=row["wake_at"],
        open=row["state"] == "open",
        facts_no=row["facts_no"],
        locale=row["locale"],
        first_name=row["first_name"],
        facts=_facts(row, shop),
        lines=row["lines"],
        total_is_estimate=row["total_is_estimate"],
        recovery_url=row["recovery_url"],
        may_be_written_to=row["may_be_written_to"],
        browsers=[Browser(*browser) for browser in row["browsers"]],
    )


def _facts(row: Any, shop: ShopFacts) -> Facts:
    return Facts(
        cart=cart_of(row),
        person=_person(row),
        started_at=row["started_at"],
        taken=tuple(
            Taken(step, channel, state, at, frozenset(human), frozenset(maybe))
            for step, channel, state, at, human, maybe in row["taken"]
        ),
        counted=tuple(Counted(*counted) for counted in row["counted"]),
        ended_by=_ended_by(row),
        on_hold=row["on_hold"],
        notice_since=shop.notice_since,
        shop_zone=shop.zone,
        texts_to=shop.texts_to,
        stood_still_until=row["stood_still_until"],
    )


def cart_of(row: Any) -> Cart:
    """The cart of a row that has its columns."""
    return Cart(
        changed_at=row["changed_at"],
        total=row["total"],
        currency=row["currency"],
        lines=lines_of(row["lines"]),
        state=row["cart_state"],
        stage=row["stage"],
    )


def lines_of(lines: Sequence[dict[str, Any]]) -> tuple[Line, ...]:
    """Stored lines as conditions see them."""
    return tuple(
        Line(
            product=line["product"],
            name=line["name"],
            quantity=Decimal(line["quantity"]),
            price=None if line["price"] is None else Decimal(line["price"]),
            category=line["category"],
        )
        for line in lines
    )


def _person(row: Any) -> Person:
    addresses = {kind: row[kind] for kind in ("email", "phone") if row[kind]}
    if row["browsers"]:
        addresses["push"] = row["browsers"][0][0]
    if row["visitor"]:
        addresses["onsite"] = row["visitor"]
    seen = [at for at in (row["active_at"], row["still_since"]) if at is not None]
    return Person(
        addresses=addresses if row["may_be_written_to"] else {},
        suppressed=frozenset(row["suppressed"]),
        consents={purpose: Consent(state, number, at) for purpose, state, number, at in row["consents"]},
        last_bought=Bought(*row["last_bought"]) if row["last_bought"] else None,
        zone=row["zone"],
        group=row["customer_group"],
        region=row["region"],
        fewer=row["fewer"],
        resting_until=row["wanted_again_at"],
        active_at=max(seen),
    )


def _ended_by(row: Any) -> str:
    if row["bought"]:
        return "purchase"
    return "emptied" if row["cart_state"] == "emptied" else ""
