"""Two persons that turn out to be one, and two that were taken for one and are not."""

from __future__ import annotations

from datetime import datetime

import structlog

from daemon.context import Context
from daemon.store import members, merging, persons, recoveries, work
from daemon.store.database import Connection, Pool, again
from daemon.store.merging import HAND, Evidence, Left, Standing
from rules.holdout import held_out

log = structlog.get_logger()


class Refused(Exception):
    """These two cannot be merged, or parted: why, for whoever asked."""


async def merge(
    context: Context, db: Connection, shop_id: int, older: int, younger: int, evidence: Evidence, now: datetime
) -> int:
    """The number of the record: who, into whom, by what. The older survives, the younger's recovery ends, what forbids
    is kept from both: what one of them bought stops at once what goes to the other. Who is held out on one side is held
    out. The caller holds both locks."""
    share = context.keeper.book.shops[context.shop_name(shop_id)].holdout
    return await _merge(db, shop_id, older, younger, evidence, share, now)


async def _merge(
    db: Connection, shop_id: int, older: int, younger: int, evidence: Evidence, share: float, now: datetime
) -> int:
    keys = await persons.split_keys(db, shop_id, [older, younger])
    crossed = held_out(keys[older], share) != held_out(keys[younger], share)
    await recoveries.end_of_persons(db, shop_id, [younger], "merged", now)
    number = await merging.merge(db, shop_id, older, younger, evidence, now, crossed=crossed)
    stopped = await recoveries.bought_by(db, shop_id, [older], now)
    await recoveries.wake(db, shop_id, [older], now)
    await members.heed(db, shop_id, [older, younger], now)
    log.info("kept", shop_id=shop_id, merge=number, person=older, was=younger, by=evidence.kind)
    for recovery in stopped:
        log.info("stopped", shop_id=shop_id, recovery=recovery, because="purchase")
    return number


async def by_hand(pool: Pool, shop_id: int, one: int, other: int, share: float, now: datetime) -> int:
    """Make these two one: the number of the record. `share`: the shop's holdout. Raises Refused."""

    async def body(db: Connection) -> int:
        await work.serialise(db, shop_id)  # nobody who read of them before writes of them after
        older, younger = sorted((one, other))
        await persons.lock(db, shop_id, [older, younger])
        await _are_two(db, shop_id, older, younger)
        return await _merge(db, shop_id, older, younger, HAND, share, now)

    return await again(pool, body)


async def _are_two(db: Connection, shop_id: int, older: int, younger: int) -> None:
    if older == younger:
        raise Refused(f"person {older} is one already")
    found = await merging.people(db, shop_id, [older, younger])
    for number in (older, younger):
        who = found.get(number)
        if who is None:
            raise Refused(f"there is no person {number} in this shop")
        if who.merged_into is not None:
            raise Refused(f"person {number} is person {who.merged_into} now")
        if who.erased:
            raise Refused(f"person {number} was erased")


async def undo(pool: Pool, shop_id: int, number: int, now: datetime) -> tuple[Standing, list[Left]]:
    """Part the two of this merge again: who they are, and what becomes of the younger's recovery. What was sent to
    either until now counts for both. The same evidence does not make them one again. Raises Refused."""

    async def body(db: Connection) -> tuple[Standing, list[Left]]:
        await work.serialise(db, shop_id)
        before = await _standing(db, shop_id, number)
        await persons.lock(db, shop_id, [before.older, before.younger])
        standing = await _standing(db, shop_id, number)
        left = await merging.give_back(db, shop_id, number, standing, now)
        await recoveries.wake(db, shop_id, [standing.older, standing.younger], now)
        await members.heed(db, shop_id, [standing.older, standing.younger], now)
        return standing, left

    done, left = await again(pool, body)
    log.info("kept", shop_id=shop_id, parted=number, person=done.older, other=done.younger)
    return done, left


async def _standing(db: Connection, shop_id: int, number: int) -> Standing:
    found = await merging.one(db, shop_id, number)
    if found is None:
        raise Refused(f"there is no merge {number} in this shop")
    if found.undone:
        raise Refused(f"merge {number} was taken back already")
    if found.final:
        raise Refused(f"of merge {number} it is not known any more what moved: the person was erased")
    if found.older_into is not None:
        raise Refused(f"person {found.older} is person {found.older_into} now: take that merge back first")
    if found.later is not None:
        raise Refused(f"merge {found.later} came later: take that one back first")
    if found.younger_into != found.older:
        raise Refused(f"person {found.younger} is not part of person {found.older} any more")
    return found
