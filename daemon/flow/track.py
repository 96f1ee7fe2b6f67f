"""Step 9: what comes back. Hits are kept before the answer; what they mean is worked out later, and again at will."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from daemon import metrics
from daemon.context import Context
from daemon.hits import TRAP, VISIT, Hit, Kind, classify
from daemon.store import clock, events, persons, recoveries
from daemon.store.database import Connection, Pool, again, new_id
from daemon.store.events import Key, Link, Unhandled
from daemon.tokens import Token

if TYPE_CHECKING:
    from daemon.flow.desk import Desk

log = structlog.get_logger()
JUDGED = ("opened", "clicked", "viewed", "landed")
MESSAGES = 500
DAY = timedelta(days=1)
LATE_NEWS = VISIT + timedelta(minutes=15)
"""Machine time after a click until a visit that it led to is known here: the next looks at the shop included."""
BIGGEST_LINK = 32_767
MOST = 500
"""Events worked off at once."""


class Visitor(NamedTuple):
    """Who asked, as far as it is kept: the network, never the address."""

    method: str
    user_agent: str
    ip_net: str


async def opened(desk: Desk, token: Token, visitor: Visitor) -> None:
    """The picture was fetched. Returns when that is on a disk; raises `Full` or OSError when it could not be kept."""
    await desk.record(hit("opened", token, visitor))


async def clicked(desk: Desk, token: Token, visitor: Visitor) -> Link | None:
    """Where the link leads; None when it is not known (any more, or while the database is away). Raises as `opened`."""
    return await desk.record(hit("clicked", token, visitor))


async def viewed(desk: Desk, token: Token, visitor: Visitor) -> None:
    """The unsubscribe page was looked at, which changes nothing. Raises as `opened`."""
    await desk.record(hit("viewed", token, visitor))


async def unsubscribed(desk: Desk, token: Token, visitor: Visitor, *, noted: bool = True) -> None:
    """The person wants no more of these: in effect for the next claim. `noted`: with a row that tells of it. Raises as
    `opened`."""
    await desk.opt_out(hit("unsubscribed", token, visitor), noted=noted)


async def resubscribed(desk: Desk, token: Token, visitor: Visitor) -> None:
    """They take it back: what this message's link withdrew counts again. An ended recovery stays ended."""
    await desk.opt_out(hit("resubscribed", token, visitor))


def hit(kind: Kind, token: Token, visitor: Visitor) -> Hit:
    """A new hit. Only clicks have a link."""
    link_no = token.link_no if token.purpose == "click" and token.link_no <= BIGGEST_LINK else None
    return Hit(
        new_id(),
        kind,
        token.shop_id,
        token.message_id,
        link_no,
        visitor.method,
        visitor.user_agent,
        visitor.ip_net,
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a hit was taken for, and what it is taken for now."""

    key: Key
    person_id: int | None
    kind: str
    before: str | None
    class_: str


async def reactions(context: Context, shop_id: int, now: datetime, limit: int = MOST) -> int:
    """Work off what came in: class it, tell the rules, wake whom it concerns. How many events were found."""

    async def once(db: Connection) -> Counter[tuple[str, str]]:
        return await _reactions(db, shop_id, now, limit, beacon=has_script(context, shop_id))

    tally = await again(context.pool, once)
    classes = Counter[str]()
    for (kind, class_), count in tally.items():
        metrics.hits_classed.labels(kind, class_).inc(count)
        classes[class_] += count
    if tally:
        log.info("tracked", shop=context.shop_called(shop_id), events=tally.total(), **classes)
    return tally.total()


def has_script(context: Context, shop_id: int) -> bool:
    """Whether the shop's pages carry our script, which tells that somebody looks at the page behind a click."""
    shop = context.keeper.book.shops.get(context.shop_called(shop_id))
    return shop is not None and shop.script is not None


async def second_look(
    pool: Pool, shop_id: int, state: Mapping[str, Any], now: datetime, *, beacon: bool = False
) -> dict[str, Any]:
    """Judge once more the clicks that were nobody's, now that the shop has told who came in by them; at most so many at
    a time. The state to go on from."""
    until = await clock.machine_now(pool) - LATE_NEWS
    after = max(datetime.fromisoformat(state["judged"]), until - DAY) if "judged" in state else until - DAY
    reached, messages = await events.clicked_by_nobody(pool, shop_id, after, until, MESSAGES)

    async def once(db: Connection) -> int:
        await persons.lock(db, shop_id, await _people(db, shop_id, messages))
        verdicts = await _judge(db, shop_id, messages, now + TRAP, beacon=beacon)
        news = [one for one in verdicts if one.before not in (None, one.class_)]
        await events.classed(db, shop_id, {one.key: one.class_ for one in news}, now)
        people = sorted({one.person_id for one in news if one.person_id is not None})
        await persons.raise_facts(db, shop_id, people)
        await recoveries.wake(db, shop_id, people, now)
        return len(news)

    if messages and (changed := await again(pool, once)):
        log.info("tracked", shop_id=shop_id, events=changed, judged="again")
    return {**state, **({"judged": reached.isoformat()} if reached else {})}


async def _reactions(
    db: Connection, shop_id: int, now: datetime, limit: int, *, beacon: bool
) -> Counter[tuple[str, str]]:
    keys, people = await events.unhandled(db, shop_id, limit)
    if not keys:
        return Counter()
    await persons.lock(db, shop_id, sorted(people))
    # One whose person was merged meanwhile belongs to somebody who is not locked: the next batch finds it there.
    waiting = [
        one for one in await events.reread(db, shop_id, keys) if one.person_id is None or one.person_id in people
    ]
    verdicts = await _verdicts(db, shop_id, waiting, beacon=beacon)
    fresh = {one.key for one in waiting}
    news = [one for one in verdicts.values() if one.key in fresh or one.before not in (None, one.class_)]
    classes: dict[Key, str | None] = {one.key: "unknown" if one.kind in JUDGED else None for one in waiting}
    await events.classed(db, shop_id, classes | {one.key: one.class_ for one in news}, now)
    await events.proven(db, shop_id, _evidence(waiting))
    await _tell(db, shop_id, waiting, news, now)
    return Counter((one.kind, verdicts[one.key].class_ if one.key in verdicts else "unknown") for one in waiting)


async def _verdicts(db: Connection, shop_id: int, waiting: Sequence[Unhandled], *, beacon: bool) -> dict[Key, Verdict]:
    messages = {one.message_id for one in waiting if one.message_id is not None and one.kind in JUDGED}
    until = max((one.at for one in waiting), default=None)
    if not messages or until is None:
        return {}
    return {one.key: one for one in await _judge(db, shop_id, messages, until + TRAP, beacon=beacon)}


async def _tell(
    db: Connection, shop_id: int, waiting: Sequence[Unhandled], news: Sequence[Verdict], now: datetime
) -> None:
    """Each reaction raises facts_no; a human one is a sign of life; what no machine did wakes the recovery."""
    times = {one.key: one.at for one in waiting}
    concerned = {one.person_id for one in waiting} | {one.person_id for one in news}
    human: dict[int, datetime] = {}
    asleep = {one.person_id for one in waiting if one.kind not in JUDGED}
    for one in news:
        if one.class_ != "machine":
            asleep.add(one.person_id)
        if one.class_ == "human" and one.person_id is not None and one.key in times:
            human[one.person_id] = max(human.get(one.person_id, times[one.key]), times[one.key])
    told = set(await persons.seen_active(db, shop_id, human))
    await persons.raise_facts(
        db, shop_id, [person for person in concerned if person is not None and person not in told]
    )
    await recoveries.wake(db, shop_id, [person for person in asleep if person is not None], now)


def _evidence(waiting: Sequence[Unhandled]) -> dict[int, tuple[str, datetime]]:
    """By message: the first that came back of it."""
    return {one.message_id: (one.kind, one.at) for one in reversed(waiting) if one.message_id is not None}


async def _judge(
    db: Connection, shop_id: int, messages: Iterable[int], until: datetime, *, beacon: bool
) -> list[Verdict]:
    wanted = sorted(messages)
    taken = await events.acceptances(db, shop_id, wanted)
    visits = await events.visits(db, shop_id, {person for person, _ in taken.values()})
    verdicts = []
    for message, judged in (await events.of_messages(db, shop_id, wanted, until)).items():
        person, accepted_at = taken.get(message, (None, None))
        visited = visits.get(person, []) if person is not None else []
        classes = classify([one.seen for one in judged], accepted_at, visited, beacon=beacon)
        verdicts += [Verdict(one.key, person, one.seen.kind, one.class_, classes[one.key.id]) for one in judged]
    return verdicts


async def _people(db: Connection, shop_id: int, messages: Sequence[int]) -> list[int]:
    return sorted({person for person, _ in (await events.acceptances(db, shop_id, messages)).values()})
