"""An opt-out takes effect in one transaction, under the person's lock: the next claim sees it."""

from __future__ import annotations

import structlog

from daemon.hits import Hit
from daemon.store import events, members, optouts, persons, recoveries
from daemon.store.clock import shop_now
from daemon.store.database import Connection, Pool, again
from daemon.store.optouts import Letter

log = structlog.get_logger()
MERGES = 5
UNKNOWN = "this database does not know the message, so nobody is taken off a list: see `tillbell doctor`"


class PersonMoved(Exception):
    """The message's person was merged into another while we waited for the lock."""


async def settle(pool: Pool, hit: Hit, *, noted: bool = True) -> bool:
    """Do what an `unsubscribed` or `resubscribed` hit asks for. False: it was done before. `noted`: a row tells of it;
    without one the same hit is not recognised when it comes again."""

    async def once(db: Connection) -> tuple[bool, bool]:
        return await _settle(db, hit, noted)

    for left in range(MERGES, 0, -1):
        try:
            done, found = await again(pool, once)
        except PersonMoved:
            if left == 1:
                raise
        else:
            if done and noted and not found and hit.kind == "unsubscribed":
                log.warning("stopped", kind=hit.kind, message=hit.message_id, because=UNKNOWN)
            elif done:
                log.info("stopped" if hit.kind == "unsubscribed" else "tracked", kind=hit.kind, message=hit.message_id)
            return done
    raise AssertionError("unreachable")


async def _settle(db: Connection, hit: Hit, noted: bool) -> tuple[bool, bool]:
    """Whether it was done now, and whether there is a message that it is about."""
    letter = await _locked(db, hit)
    if await optouts.is_known(db, hit):
        return False, letter is not None
    at = hit.at or await shop_now(db)
    if letter is not None:
        if hit.kind == "unsubscribed":
            await recoveries.end_of_persons(db, hit.shop_id, [letter.person_id], "unsubscribed", at)
            await optouts.withdraw(db, hit, letter, at)
            await members.heed(db, hit.shop_id, [letter.person_id], at)
            await events.proven(db, hit.shop_id, {hit.message_id: (hit.kind, at)})
        else:
            await optouts.give_back(db, hit, letter, at)
            await persons.raise_facts(db, hit.shop_id, [letter.person_id])
    if noted:
        await optouts.keep(db, hit, letter, at)
    return True, letter is not None


async def _locked(db: Connection, hit: Hit) -> Letter | None:
    """The letter, read under its person's lock; None when the message is gone (then its person is gone, too)."""
    before = await optouts.letter(db, hit.shop_id, hit.message_id)
    if before is None:
        return None
    await persons.lock(db, hit.shop_id, [before.person_id])
    letter = await optouts.letter(db, hit.shop_id, hit.message_id)
    if letter is None or letter.person_id != before.person_id:
        raise PersonMoved
    return letter
