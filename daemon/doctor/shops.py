"""Each shop: does it answer, do its clocks agree, is every event arriving, how late, and who could be written to?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from daemon.context import Context
from daemon.doctor.reason import Reason
from daemon.doctor.signs import roughly
from daemon.flow import lateness
from daemon.shops.base import Health, Shop
from daemon.store import clock, shops, survey, work
from daemon.store.survey import Carts, Pushed
from daemon.store.work import Status
from rules.shops import ShopWords

IN_STEP = timedelta(minutes=5)
"""Clocks that differ by more than this disturb what is due."""
HOUR = timedelta(hours=1)
ROUND = timedelta(minutes=6)
"""So close to a whole hour a difference is a time zone."""
FEW = 10
"""Fewer than this say nothing of a share."""
LATE_LOOKS = 5
"""Polls that may be missed before the last good one is too old."""


async def of_shop(context: Context, name: str) -> list[Reason]:
    """All that can be asked of one shop."""
    shop, shop_id = context.shops[name], context.shop_ids.get(name)
    words = context.keeper.book.shops[name]
    health = of_health(name, await asked(shop, await clock.machine_now(context.pool)))
    if shop_id is None:
        return [
            Reason("shop", f"shop {name}: the database does not know it yet", "start the daemon: `tillbell run`"),
            *health,
        ]
    works = await work.status(context.pool, shop_id)
    row = next(row for row in await shops.every(context.pool) if row.shop_id == shop_id)
    return [
        *of_mode(name, words.mode, row.mode),
        *health,
        *of_looks(name, shop.polls, works, context.settings.poll_every),
        *of_events(name, shop.polls, await survey.pushed(context.pool, shop_id)),
        *of_orders(name, words, await lateness.of_shop(context, context.pool, name, shop_id)),
        *of_carts(name, await survey.carts(context.pool, shop_id)),
    ]


def of_mode(name: str, written: str, now: str) -> list[Reason]:
    """A switch that waits for the daemon: who looks does not carry it out."""
    if written == now:
        return []
    text = f"shop {name}: shops.yaml says {written}, and it is still {now}"
    return [
        Reason("mode", text, "the daemon takes it over: within seconds if it runs, else when it starts", amiss=False)
    ]


async def asked(shop: Shop, now: datetime) -> Health:
    """Its health; a fault of a connector is a finding like any other."""
    try:
        return await shop.health(now)
    except Exception as error:
        return Health(reachable=False, findings=(f"the connector failed: {type(error).__name__}",))


def of_health(name: str, health: Health) -> list[Reason]:
    said = [Reason("shop", f"shop {name}: {finding}") for finding in health.findings]
    if not health.reachable and not said:
        said = [Reason("shop", f"shop {name}: cannot be reached", "see its `connection` in shops.yaml")]
    skew = health.clock_skew
    if skew is not None and abs(skew) > IN_STEP and not any("clock" in one.text for one in said):
        side = "ahead of" if skew > timedelta(0) else "behind"
        text = f"shop {name}: its clock is {roughly(abs(skew))} {side} ours"
        said.append(Reason("clock", text, "set both by NTP"))
    return said


def of_looks(name: str, polls: bool, works: Sequence[Status], every: timedelta) -> list[Reason]:
    """When the shop last answered a look of ours."""
    poll = next((row for row in works if row.name == "poll"), None)
    if not polls or poll is None:
        return []
    if poll.silent_for is None:
        text = f"shop {name}: its carts and orders were never read"
        return [Reason("poll", text, poll.problem or "start the daemon: `tillbell run`")]
    if poll.silent_for > LATE_LOOKS * every:
        text = f"shop {name}: its carts and orders were last read {roughly(poll.silent_for)} ago"
        return [Reason("poll", text, poll.problem or "does a worker run?")]
    return []


def of_events(name: str, polls: bool, rows: Sequence[Pushed]) -> list[Reason]:
    """What was pushed and when: an event that never comes is a switch that was forgotten in the shop."""
    by_kind = {row.kind: row for row in rows}
    refused = by_kind.pop("refused", None)
    said = [
        Reason("events", f"shop {name}: {kind} last came {roughly(row.ago)} ago ({row.events} lately)", amiss=False)
        for kind, row in sorted(by_kind.items())
    ]
    if refused is not None:
        text = f"shop {name}: {refused.events} events were refused, the last {roughly(refused.ago)} ago"
        said.append(Reason("events", text, refused.refused or ""))
    if not polls:
        said += [
            Reason("events", f"shop {name}: {kind} has never come", f"let the shop send it: {what}")
            for kind, what in (("cart.updated", "without it no cart is known"),
                               ("order.placed", "without it buyers are written to"))
            if kind not in by_kind
        ]  # fmt: skip
    return said


def of_orders(name: str, words: ShopWords, late: Mapping[str, str]) -> list[Reason]:
    """Policies that would write to people who have bought."""
    held = "it is paused until orders come in time" if words.mode == "live" else "it would be paused in a live shop"
    hint = "let orders come sooner or the first step later; then `tillbell resume --policy` begins to measure anew"
    return [
        Reason("orders", f"shop {name}, policy {policy}: {because}; {held}", hint)
        for policy, because in sorted(late.items())
    ]


def of_carts(name: str, seen: Carts) -> list[Reason]:
    said = []
    if seen.ahead:
        text = f"shop {name}: {seen.ahead} carts seem to come from the future"
        said.append(Reason("clock", text, "the shop writes local time as UTC, or its clock is wrong"))
    if seen.slip is not None and seen.dated >= FEW and (hours := whole_hours(seen.slip)):
        side = "ahead" if hours > 0 else "behind"
        text = f"shop {name}: carts are dated {abs(hours)} h {side} of when we see them change"
        said.append(Reason("clock", text, "a whole hour is a wrong time zone: see the shop's or `timezone`"))
    if seen.carts >= FEW:
        said.append(Reason("carts", f"shop {name}: of the newest {shares(seen)}", amiss=False))
        if seen.nobody * 2 > seen.carts:
            text = f"shop {name}: {seen.nobody} of {seen.carts} carts have no person"
            said.append(Reason("carts", text, "only carts of known people can be followed up", amiss=False))
        if not seen.email:
            text = f"shop {name}: no cart has a person with an e-mail address"
            said.append(Reason("carts", text, "does the shop send the customer with the cart?"))
    return said


def shares(seen: Carts) -> str:
    """As in `200 open carts 12 % have no person, 88 % an e-mail address, …`."""
    parts = ((seen.nobody, "have no person"), (seen.email, "an e-mail address"), (seen.phone, "a phone number"),
             (seen.consent, "a confirmed consent"))  # fmt: skip
    return f"{seen.carts} open carts " + ", ".join(f"{100 * part / seen.carts:.0f} % {what}" for part, what in parts)


def whole_hours(slip: timedelta) -> int:
    """The hours of a difference that looks like a time zone; 0 for any other."""
    hours = round(slip / HOUR)
    return hours if abs(slip - hours * HOUR) <= ROUND else 0
