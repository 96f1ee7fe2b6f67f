"""Step 9, tracked: what a channel's provider tells of messages, and what people write back to them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import structlog

from channels.base import Event
from daemon import tokens
from daemon.context import Context, address_hmac
from daemon.flow import optin, reputation, texts
from daemon.flow.consents import Proof
from daemon.logs import told
from daemon.store import callbacks, inbox, persons, post, recoveries, suppressions
from daemon.store.database import Connection, again, is_transient
from daemon.store.inbox import Delivery, Effect
from daemon.store.post import Letter
from daemon.store.suppressions import Entry
from rules.law import PURPOSES

log = structlog.get_logger()

WORK = "callbacks"
SOURCE = "channel "
"""Before the channel's name in the inbox."""
STOPPED = "a STOP by {channel}"


@dataclass(frozen=True, slots=True)
class Read:
    """A row of the inbox as it was told."""

    id: int
    channel: str
    event: Event
    message_id: int | None
    """Of the message that it speaks of; None for what a person wrote."""
    confirms: bool = False
    """A yes to a request of ours (double opt-in), which had its effect."""


def deliveries(context: Context, channel: str, events: Sequence[Event]) -> list[Delivery]:
    """As the inbox keeps them: news of a message for its shop, what a person wrote for each shop that may be meant."""
    rows = []
    for event in events:
        token = tokens.read(context.secrets, event.message) if event.message else None
        if event.message and (token is None or token.purpose != "told" or not context.knows(token.shop_id)):
            continue
        shops = [token.shop_id] if token else _meant(context, event)
        raw = json.dumps(asdict(event), ensure_ascii=False, separators=(",", ":")).encode()
        rows += [Delivery(shop_id, SOURCE + channel, event.key, raw) for shop_id in shops]
    return rows


def _meant(context: Context, event: Event) -> list[int]:
    """The shops whose texts come from where somebody wrote to: all of them where that is nobody's, and those that were
    taken out of shops.yaml, of which nobody can tell any more."""
    written_to = {event.recipient, event.service} - {""}
    shops, settings = context.keeper.book.shops, context.settings
    theirs = [
        number
        for name, number in context.shop_ids.items()
        if name in shops and texts.sender_of(shops[name], settings).removeprefix("whatsapp:") in written_to
    ]
    return sorted({*(theirs or context.shop_ids.values()), *context.former.values()})


async def work_off(context: Context, shop_id: int, now: datetime, limit: int = 200) -> int:
    """How many had their effect. One that is bad is kept with its reason."""
    rows = await inbox.told_waiting(context.pool, shop_id, limit)
    reads = [await _confirmed(context, shop_id, _read(context, row)) for row in rows]

    async def once(db: Connection) -> int:
        return await _work_off(context, db, shop_id, reads, now)

    done = await again(context.pool, once) if reads else 0
    if done:
        kinds = Counter[str](one.event.kind for one in reads)
        log.info("tracked", shop=context.shop_called(shop_id), told=done, **kinds)
        context.ring("decide", shop_id)
    for channel in {one.channel for one in reads if one.event.ours}:
        await reputation.judge_sender(context, shop_id, channel, now)
    return done


def _read(context: Context, row: inbox.Waiting) -> Read:
    event = Event(**json.loads(row.body))
    token = tokens.read(context.secrets, event.message) if event.message else None
    return Read(row.id, row.source.removeprefix(SOURCE), event, token.message_id if token else None)


async def _confirmed(context: Context, shop_id: int, one: Read) -> Read:
    """A yes by text confirms what was asked for, once; said again, it is a reply like any other."""
    if one.event.kind != "replied" or one.channel != "sms" or not optin.says_yes(one.event.text):
        return one
    found = await optin.answered(context, shop_id, one.event.address, one.event.text, Proof("reply by text"))
    return replace(one, confirms=found == "confirmed")


async def _work_off(context: Context, db: Connection, shop_id: int, reads: Sequence[Read], now: datetime) -> int:
    about = [one.message_id for one in reads if one.message_id is not None]
    hmacs = {one.id: address_hmac(context.pepper, "phone", one.event.address) for one in reads if one.event.address}
    people = {one.person_id for one in (await post.letters(db, shop_id, about)).values()}
    people |= set(await suppressions.owners(db, shop_id, list(hmacs.values())))
    await persons.lock(db, shop_id, sorted(people))
    letters = await post.letters(db, shop_id, about)
    waiting = await inbox.still_waiting(db, shop_id, [one.id for one in reads])
    done: dict[int, Effect] = {}
    early: dict[int, int] = {}
    for one in reads:
        letter = letters.get(one.message_id) if one.message_id is not None else None
        if one.id not in waiting or (letter and letter.person_id not in people):  # merged into somebody meanwhile
            continue
        if letter and letter.state == "sending":
            early[one.id] = letter.id
            continue
        done[one.id] = await _contained(db, shop_id, one, letter, hmacs.get(one.id), people, now)
    await inbox.close_mails(db, shop_id, done, now)
    await inbox.are_about(db, shop_id, early)
    await inbox.forget_these(db, shop_id, [number for number, effect in done.items() if not effect.unread])
    return len(done)


async def _contained(
    db: Connection,
    shop_id: int,
    one: Read,
    letter: Letter | None,
    hmac: bytes | None,
    locked: set[int],
    now: datetime,
) -> Effect:
    """The fault of one never holds up the others."""
    try:
        async with db.transaction():
            if one.message_id is not None:
                return await _news(db, shop_id, one.event, letter, now)
            return await _wrote(db, shop_id, one, hmac or b"", locked, now)
    except Exception as error:
        if is_transient(error):
            raise
        log.error("tracked", inbox=one.id, problem=told(error), exc_info=True)
        return Effect("refused", f"a fault of ours: {type(error).__name__}")


async def _news(db: Connection, shop_id: int, event: Event, letter: Letter | None, now: datetime) -> Effect:
    """Of a message: it goes up in rank, never backwards."""
    if letter is None:
        return Effect("done", "about a message that is not kept any more")
    if event.provider_id:
        await callbacks.provided(db, shop_id, letter.id, event.provider_id)
    if event.kind == "undelivered":
        text = await _undelivered(db, shop_id, event, letter, now)
    else:
        rank: post.Rank = "delivered" if event.kind == "delivered" else "accepted"
        how = f"proven by the provider: {event.kind}" if letter.state in post.UNPROVEN else None
        moved = await post.came_back(db, shop_id, letter.id, rank, how, now)
        if moved and event.kind == "delivered":
            await post.keep(db, shop_id, letter, "delivered", now, {"code": event.code} if event.code else {})
        text = f"message {letter.id}: {event.kind}"
    await persons.raise_facts(db, shop_id, [letter.person_id])
    await recoveries.wake(db, shop_id, [letter.person_id], now)
    return Effect("done", text, letter.id)


async def _undelivered(db: Connection, shop_id: int, event: Event, letter: Letter, now: datetime) -> str:
    """It did not arrive. Only what speaks of the address itself keeps us from writing to it again."""
    severity = "hard" if event.dead else "sender" if event.ours else "soft"
    said = f"{severity} {event.code}".strip()
    if not await post.came_back(db, shop_id, letter.id, "bounced", said, now):
        return f"message {letter.id}: {said} was known"
    await post.keep(db, shop_id, letter, "bounced", now, {"severity": severity, "status": event.code})
    if event.dead and not letter.rehearsal and letter.address_hmac is not None:
        entry = Entry(letter.address_hmac, "bounced", now)
        await suppressions.add(db, shop_id, letter.channel, [entry], f"message {letter.id}")
    return f"message {letter.id} came back: {said}"


async def _wrote(db: Connection, shop_id: int, one: Read, hmac: bytes, locked: set[int], now: datetime) -> Effect:
    """A person: a STOP silences all marketing to them by any channel, and a START lifts that and grants nothing."""
    if one.confirms:
        return Effect("done", "YES: a consent is confirmed")
    people = [person for person in await suppressions.owners(db, shop_id, [hmac]) if person in locked]
    source = STOPPED.format(channel=one.channel)
    if one.event.kind == "stopped":
        await suppressions.add(db, shop_id, "any", [Entry(hmac, "unsubscribed", now)], source)
        await callbacks.withdraw(db, shop_id, people, PURPOSES[one.channel], f"inbox {one.id}", source, now)
        await recoveries.end_of_persons(db, shop_id, people, "unsubscribed", now)
        await persons.raise_facts(db, shop_id, people)
        return Effect("done", f"STOP of {len(people)} known here")
    if one.event.kind == "started":
        if lifted := await callbacks.lift(db, shop_id, hmac, source):
            await callbacks.restore(db, shop_id, people, PURPOSES[one.channel], source, now)
        await persons.raise_facts(db, shop_id, people)
        return Effect("done", "START: the STOP is lifted" if lifted else "START, and there was no STOP")
    if not people:
        return Effect("done", "from nobody who is known here")
    answered = await callbacks.last_to(db, shop_id, people, one.channel)
    letters = await post.letters(db, shop_id, list(answered.values()))
    for letter in letters.values():
        if one.event.kind == "replied":
            await post.keep(db, shop_id, letter, "replied", now, {})
    await persons.seen_active(db, shop_id, dict.fromkeys(people, now))
    await persons.raise_facts(db, shop_id, people)
    await recoveries.wake(db, shop_id, people, now)
    return Effect("done", f"{one.event.kind} by {one.channel}", max(answered.values(), default=None), unread=True)
