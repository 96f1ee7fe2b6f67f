"""Step 3, enrolled: carts at rest become recoveries, set-based, with the holdout from the person's split key."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from asyncpg import UniqueViolationError

from daemon.context import Context
from daemon.store import decisions, enrolment
from daemon.store.database import Connection, again
from daemon.store.enrolment import Judged
from daemon.store.facts import lines_of
from rules.enrolment import condition_holds, terms
from rules.facts import Bought, Cart, Person
from rules.policy import Policy

log = structlog.get_logger()

MOST = 5000
TRIES = 5


async def resting_carts(context: Context, shop_id: int, now: datetime, most: int = MOST) -> int:
    """How many carts got their answer."""
    name = context.shop_name(shop_id)
    book = context.keeper.book
    policies = {policy.name: policy for policy in book.policies_by_shop.get(name, ())}
    shop = book.shops[name]
    for policy in policies.values():
        await decisions.keep_policy(context.pool, shop_id, policy.hash, policy.name, json.loads(policy.to_json()), now)
    answers: dict[tuple[int, str], bool] = {}

    async def body(db: Connection) -> list[Judged]:
        return await enrolment.enrol(
            db,
            shop_id,
            [terms(policy) for policy in policies.values()],
            now,
            holdout=shop.holdout,
            rehearsal=shop.mode == "rehearsal",
            most=most,
            answers=answers,
        )

    settled: list[Judged] = []
    while True:
        found = await _unless_raced(context, body)
        settled += [one for one in found if one.word != "ask"]
        asked = [one for one in found if one.word == "ask"]
        if not asked:
            break
        answers.update({(one.cart_id, str(one.policy)): _holds(policies[str(one.policy)], one) for one in asked})
    _tell(context, shop_id, settled)
    return len(settled)


async def _unless_raced(context: Context, body: Callable[[Connection], Awaitable[list[Judged]]]) -> list[Judged]:
    """Where another worker began a recovery of one of these persons just now, nothing has happened here, and the next
    look sees it. So of two who enrol at once neither answers a cart with a recovery that is not there."""
    for _ in range(TRIES - 1):
        try:
            return await again(context.pool, body)
        except UniqueViolationError:
            log.info("enrolled", again="another worker was faster")
    return await again(context.pool, body)


def _tell(context: Context, shop_id: int, settled: list[Judged]) -> None:
    began = [one for one in settled if one.recovery_id is not None]
    if began:
        held_out = len([one for one in began if one.held_out])
        log.info("enrolled", shop=context.shop_name(shop_id), recoveries=len(began), held_out=held_out)
        context.ring("decide", shop_id)


def _holds(policy: Policy, one: Judged) -> bool:
    """A policy's own condition, which only the rules can read."""
    row = one.row
    cart = Cart(row["changed_at"], row["total"], row["currency"], lines_of(row["lines"]), stage=row["stage"])
    bought = Bought("", row["bought_at"]) if row["bought_at"] else None
    person = Person(group=row["customer_group"] or "", zone=row["zone"] or "", last_bought=bought)
    return condition_holds(policy, cart, person).holds
