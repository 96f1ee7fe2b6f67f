"""Step 9, tracked: what came back by mail is read, believed or not, and has its effect under the person's lock."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from daemon import metrics
from daemon.context import Context
from daemon.flow import reputation, returned
from daemon.flow.letterbox import About, whose
from daemon.logs import told
from daemon.post import finding
from daemon.post.finding import Finding
from daemon.store import inbox, optins, persons, post, recoveries, suppressions
from daemon.store.database import Connection, again, is_transient
from daemon.store.inbox import Effect
from daemon.store.post import Letter
from daemon.store.suppressions import Entry

log = structlog.get_logger()

SOFT_WITHIN = timedelta(days=30)
SOFT_MOST = 3
SOFT_DAYS = 2
"""So many soft bounces in that time, on so many different days, and the address counts as dead."""
REPORTS = ("failed", "delayed", "delivered", "relayed", "expanded")
UNSIGNED = "not about a mail of ours"


@dataclass(frozen=True, slots=True)
class Read:
    """A mail with what it is to us."""

    id: int
    found: Finding
    about: About | None

    def of(self, shop_id: int) -> About | None:
        """What of this shop it is about."""
        return self.about if self.about is not None and self.about.shop_id == shop_id else None


async def work_off(context: Context, shop_id: int, now: datetime, limit: int = 100) -> int:
    """Mails become events and stops; how many were worked off. One that is bad is kept with its reason."""
    rows = await inbox.mails_waiting(context.pool, shop_id, limit)
    if not rows:
        return 0
    found = await asyncio.to_thread(lambda: [finding.read(row.body) for row in rows])
    mails = [Read(row.id, one, whose(context, one)) for row, one in zip(rows, found, strict=True)]

    async def once(db: Connection) -> list[Read]:
        return await _work_off(db, shop_id, mails, now)

    done = await again(context.pool, once)
    tally = Counter[str](mail.found.kind for mail in done)
    for kind, number in tally.items():
        metrics.post.labels(kind).inc(number)
    if done:
        log.info("tracked", shop=context.shop_called(shop_id), mails=len(done), **tally)
        context.ring("decide", shop_id)
    if tally["failed"] or tally["complained"]:
        await reputation.judge(context, shop_id, now)
    return len(done)


async def _work_off(db: Connection, shop_id: int, mails: Sequence[Read], now: datetime) -> list[Read]:
    ids = [about.message_id for mail in mails if (about := mail.of(shop_id)) and not about.is_request]
    requests = [about.message_id for mail in mails if (about := mail.of(shop_id)) and about.is_request]
    people = {letter.person_id for letter in (await post.letters(db, shop_id, ids)).values()}
    people |= {one.person_id for one in (await optins.about(db, shop_id, requests)).values()}
    await persons.lock(db, shop_id, sorted(people))
    letters = await post.letters(db, shop_id, ids)
    asked = await optins.about(db, shop_id, requests)
    waiting = await inbox.still_waiting(db, shop_id, [mail.id for mail in mails])
    done: dict[int, Effect] = {}
    early: dict[int, int] = {}
    nobodys: set[int] = set()
    for mail in mails:
        about = mail.of(shop_id)
        if about is not None and about.is_request:
            back = asked.get(about.message_id)
            if mail.id in waiting and (back is None or back.person_id in people):
                nobodys |= {mail.id} if back is None else set()
                done[mail.id] = await _contained(db, mail, partial(returned.effect, db, shop_id, mail.found, back, now))
            continue
        letter = letters.get(about.message_id) if about is not None else None
        if mail.id not in waiting or (letter and letter.person_id not in people):  # merged into somebody meanwhile
            continue
        if letter and letter.state == "sending":
            early[mail.id] = letter.id
            continue
        effect = partial(_effect, db, shop_id, mail.found, letter, now)
        if letter is None and about is not None and mail.found.kind == "complained":
            effect = partial(_complained_unknown, db, shop_id, about.message_id, now)
        done[mail.id] = await _contained(db, mail, effect)
    await inbox.close_mails(db, shop_id, done, now)
    await inbox.are_about(db, shop_id, early)
    nobodys |= {number for number, effect in done.items() if _is_erased(letters.get(effect.message_id or 0))}
    if nobodys:
        await inbox.forget_these(db, shop_id, sorted(nobodys))
    return [mail for mail in mails if mail.id in done]


def _is_erased(letter: Letter | None) -> bool:
    return letter is not None and letter.email_hmac is None


async def _contained(db: Connection, mail: Read, effect: Callable[[], Awaitable[Effect]]) -> Effect:
    """One mail's fault never holds up the others: it is kept with its reason."""
    try:
        async with db.transaction():
            return await effect()
    except Exception as error:
        if is_transient(error):
            raise
        log.error("tracked", inbox=mail.id, problem=told(error), exc_info=True)
        return Effect("refused", f"a fault of ours: {type(error).__name__}")


async def _effect(db: Connection, shop_id: int, found: Finding, letter: Letter | None, now: datetime) -> Effect:
    if letter is None:
        written = found.kind == "replied"
        return Effect("done", "a letter to the shop" if written else UNSIGNED, unread=written)
    if found.kind in REPORTS and found.return_path != "":
        return Effect("refused", "a report with a return path is not believed", letter.id)
    if _is_erased(letter):
        found = replace(found, said="")  # a server's words may name whom we have forgotten
    match found.kind:
        case "failed":
            text = await _bounced(db, shop_id, found, letter, now)
        case "delayed":
            await _proven(db, shop_id, found, letter, now)
            await post.keep(db, shop_id, letter, "delayed", now, _detail(found))
            text = f"message {letter.id} is delayed"
        case "delivered":
            how = "proven by a report: delivered" if letter.state in post.UNPROVEN else None
            await post.came_back(db, shop_id, letter.id, "delivered", how, now)
            await post.keep(db, shop_id, letter, "delivered", now, _detail(found))
            text = f"message {letter.id} was delivered"
        case "complained":
            text = await _complained(db, shop_id, found, letter, now)
        case "replied":
            await _proven(db, shop_id, found, letter, now)
            await post.keep(db, shop_id, letter, "replied", now, {})
            await persons.seen_active(db, shop_id, {letter.person_id: now})
            text = f"message {letter.id} was answered"
        case "automatic" | "relayed" | "expanded":
            await _proven(db, shop_id, found, letter, now)
            text = f"message {letter.id}: {found.kind}"
        case _:
            return Effect("done", f"message {letter.id}: says nothing", letter.id)
    await persons.raise_facts(db, shop_id, [letter.person_id])
    await recoveries.wake(db, shop_id, [letter.person_id], now)
    return Effect("done", text, letter.id, unread=found.kind == "replied")


async def _proven(db: Connection, shop_id: int, found: Finding, letter: Letter, now: datetime) -> None:
    """Whatever comes back of a message shows that it had been taken."""
    if letter.state in post.UNPROVEN:
        word = {"replied": "a reply", "automatic": "an automatic answer"}.get(found.kind, f"a report: {found.kind}")
        await post.came_back(db, shop_id, letter.id, "accepted", f"proven by {word}", now)


async def _bounced(db: Connection, shop_id: int, found: Finding, letter: Letter, now: datetime) -> str:
    """It did not arrive. Only what speaks of the address itself keeps us from writing to it again."""
    said = f"{found.severity} {found.status}".strip()
    await post.came_back(db, shop_id, letter.id, "bounced", f"{said}: {found.said}"[:300] if found.said else said, now)
    await post.keep(db, shop_id, letter, "bounced", now, _detail(found))
    dead = found.severity == "hard"
    if found.severity == "soft":
        number, days = await post.soft_bounces(db, shop_id, letter, now - SOFT_WITHIN)
        dead = number >= SOFT_MOST and days >= SOFT_DAYS
    if dead and letter.same_address and not letter.rehearsal:
        await _suppress(db, shop_id, letter, letter.channel, "bounced", now)
        return f"message {letter.id} came back: {said}, not written to any more"
    return f"message {letter.id} came back: {said}"


async def _complained(db: Connection, shop_id: int, found: Finding, letter: Letter, now: datetime) -> str:
    """No marketing to that address any more, by any channel."""
    await post.came_back(db, shop_id, letter.id, "complained", f"complaint: {found.said}".rstrip(": "), now)
    await post.keep(db, shop_id, letter, "complained", now, _detail(found))
    if not letter.rehearsal:
        await _suppress(db, shop_id, letter, "any", "complained", now)
        await recoveries.end_of_persons(db, shop_id, [letter.person_id], "complained", now)
    return f"message {letter.id} was complained about"


async def _complained_unknown(db: Connection, shop_id: int, number: int, now: datetime) -> Effect:
    """A backup was restored that does not know the message, so nobody is taken off a list: `doctor` tells of it."""
    await post.keep_unknown(db, shop_id, number, "complained", now)
    return Effect("done", f"message {number} was complained about, and this database does not know it")


async def _suppress(db: Connection, shop_id: int, letter: Letter, channel: str, reason: str, now: datetime) -> None:
    if letter.email_hmac is not None:
        entry = Entry(letter.email_hmac, reason, now)
        await suppressions.add(db, shop_id, channel, [entry], f"message {letter.id}")


def _detail(found: Finding) -> Mapping[str, str]:
    """What is kept as evidence: codes and words, no addresses."""
    told = {"action": found.kind, "status": found.status, "severity": found.severity, "said": found.said}
    return {key: value for key, value in told.items() if value}
