"""After step 8: a message whose outcome nobody knows is looked up at its provider, where that can be asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from channels.base import Asked, Found
from daemon.context import Context, address_hmac
from daemon.flow import policies, pushes
from daemon.flow.writers import WRITERS
from daemon.logs import told
from daemon.mail import MailError
from daemon.store import callbacks, facts, persons, post, reconcile, recoveries
from daemon.store.database import Connection, again
from daemon.store.facts import Case
from daemon.store.reconcile import Lost

log = structlog.get_logger()

AFTER = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))
"""Machine time since the attempt. What is absent each time was not sent, and goes out once more."""
MOST = 50
AT_ONCE = 5


async def look_up(context: Context, shop_id: int, now: datetime) -> int:
    """How many were asked about. A provider that does not answer changes nothing: they stay unknown."""
    channels = [name for name, channel in context.channels.items() if channel.looks_up]
    lost = await reconcile.due(context.pool, shop_id, channels, AFTER, MOST) if channels else []
    if not lost:
        return 0
    try:
        known = policies.shop_facts(context, shop_id, now)
    except KeyError:  # taken out of shops.yaml before this process began: it does not know whom to ask
        await reconcile.looked_up(context.pool, shop_id, [(one, False) for one in lost])
        return 0
    cases = await facts.of_recoveries(context.pool, shop_id, [one.claim.recovery_id for one in lost], known)
    few = asyncio.Semaphore(AT_ONCE)

    async def asked(one: Lost) -> Found:
        async with few:
            return await _asked(context, shop_id, one, cases[one.claim.recovery_id])

    found = await asyncio.gather(*(asked(one) for one in lost))

    async def body(db: Connection) -> Counter[str]:
        return await _settled(db, shop_id, list(zip(lost, found, strict=True)), now)

    tally = await again(context.pool, body)
    log.info("recorded", shop=context.shop_called(shop_id), looked_up=len(lost), **tally)
    context.ring("deliver", shop_id)
    context.ring("decide", shop_id)
    return len(lost)


async def _asked(context: Context, shop_id: int, one: Lost, case: Case) -> Found:
    """Only where it went to the address that is known now: else its absence there says nothing."""
    writer = WRITERS[one.channel]
    try:
        case = pushes.made_for(context, one.claim, case)
        address = writer.address(context, shop_id, case, rehearsal=one.claim.rehearsal)
        content = writer.composed(context, shop_id, one.claim, case)
        kind = {"sms": "phone", "webpush": "push"}.get(one.channel, one.channel)
        went_to = one.claim.content.get("to")
        if not address or (went_to and went_to != address_hmac(context.pepper, kind, address).hex()):
            return Found("unclear")
        return await context.channels[one.channel].look_up(Asked(one.claim.id, address, content, one.started_real))
    except MailError:
        return Found("unclear")
    except Exception as error:  # ours, or a library's: one message's fault must not keep the others from being asked
        log.error("recorded", message=one.claim.id, problem=told(error), exc_info=True)
        return Found("unclear")


async def _settled(db: Connection, shop_id: int, pairs: Sequence[tuple[Lost, Found]], now: datetime) -> Counter[str]:
    await persons.lock(db, shop_id, sorted({one.claim.person_id for one, _ in pairs}))
    there = [(one, found) for one, found in pairs if found.word == "accepted"]
    over = [one.claim for one, found in pairs if found.word == "absent" and one.look_ups + 1 >= len(AFTER)]
    open_ = [(one, found) for one, found in pairs if found.word != "accepted" and one.claim not in over]
    await reconcile.looked_up(db, shop_id, [(one, found.word == "absent") for one, found in open_])
    for one, found in there:
        await post.came_back(db, shop_id, one.claim.id, "accepted", "proven by the provider: it has it", now)
        await callbacks.provided(db, shop_id, one.claim.id, found.provider_id)
    people = sorted({one.claim.person_id for one, _ in there})
    await persons.raise_facts(db, shop_id, people)
    await recoveries.wake(db, shop_id, people, now)
    states = await reconcile.not_sent(db, shop_id, over, now) if over else {}
    return Counter({"accepted": len(there), "still_unknown": len(open_)}) + Counter[str](states.values())
