"""Step 5, prepared: products read afresh, links tokenised, rendered. Nothing has left the house yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from daemon.context import Context
from daemon.flow import policies
from daemon.flow.mails import Wares
from daemon.flow.writers import WRITERS
from daemon.logs import told
from daemon.mail import MailError, NothingToShow
from daemon.shops.base import Capability, Product
from daemon.slices import in_slices
from daemon.store import facts, messages, persons
from daemon.store.database import Connection, again
from daemon.store.facts import Case
from daemon.store.messages import Prepared

log = structlog.get_logger()

MOST = 500
AGAIN_AFTER = timedelta(minutes=10)
"""A message that cannot be rendered is tried again after that, until its time is over."""


async def planned_messages(context: Context, shop_id: int, now: datetime, most: int = MOST) -> int:
    """How many planned messages were looked at. Raises ShopUnavailable if products cannot be read: nothing is lost."""
    todo = await messages.to_prepare(context.pool, shop_id, now, most)
    if not todo:
        return 0
    cases = await facts.of_recoveries(
        context.pool, shop_id, [one.recovery_id for one in todo], policies.shop_facts(context, shop_id, now)
    )
    spoken = await policies.of_shop(context, context.pool, shop_id, {case.policy_hash for case in cases.values()})
    products = await _products(context, shop_id, list(cases.values()))
    done: list[Prepared] = []
    over: list[int] = []
    later: list[tuple[int, str]] = []
    async for one in in_slices(todo):
        case = cases[one.recovery_id]
        try:
            policy = spoken.of(case.policy_name, case.policy_hash)
            done.append(WRITERS[one.channel].prepare(context, shop_id, one, case, Wares(policy, products, now)))
        except NothingToShow:
            over.append(one.recovery_id)
        except MailError as error:
            later.append((one.id, str(error)))
            log.error("prepared", shop=context.shop_name(shop_id), message=one.id, problem=str(error))
        except Exception as error:  # ours: one message's fault must not hold up its shop
            later.append((one.id, f"a fault of ours: {type(error).__name__}"))
            log.exception("prepared", shop=context.shop_name(shop_id), message=one.id, problem=told(error))

    async def body(db: Connection) -> list[int]:
        if over:
            await persons.lock(db, shop_id, [cases[recovery].person_id for recovery in over])
            await messages.end_unprepared(db, shop_id, over, "nothing_left", now)
        await messages.put_off(db, shop_id, later, now + AGAIN_AFTER)
        return await messages.prepared(db, shop_id, done, now)

    ready = await again(context.pool, body)
    log.info("prepared", shop=context.shop_name(shop_id), messages=len(ready))
    if ready:
        context.ring("deliver", shop_id)
    return len(todo)


async def _products(context: Context, shop_id: int, cases: Sequence[Case]) -> Mapping[str, Product] | None:
    """By reference, as they are at this moment; None where the shop cannot be asked for products."""
    name = context.shop_name(shop_id)
    shop = context.shops[name]
    if Capability.PRODUCTS not in shop.capabilities():
        return None
    refs = sorted({line["product"] for case in cases for line in case.lines})
    with shop.fuses["products"]():
        return await shop.products(refs, context.keeper.book.shops[name].locale)
