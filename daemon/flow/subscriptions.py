"""A browser takes pushes for somebody from now on, or no longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog

from channels.outbound import Forbidden, target
from channels.webpush import hosts_of
from channels.webpush_bytes import BadKey, point, secret
from daemon.context import Context, address_hmac
from daemon.store import carts, consents, persons, subscriptions
from daemon.store.consents import ConsentRow
from daemon.store.database import Connection, again

log = structlog.get_logger()

MOST = 20
"""Browsers of one person that live at once; with one more, the one not seen for longest goes."""
PURPOSE = "push_mkt"
SOURCE = "onsite"
MOVES = 5
LONGEST_WORDING = 2000


class BadSubscription(Exception):
    """It cannot be kept: what is wrong with it, without repeating it."""


class Moved(Exception):
    """The browser changed hands while we waited for the lock."""


@dataclass(frozen=True, slots=True, repr=False)
class Wish:
    """What a browser gave the page (`PushSubscription.toJSON()`), with what the page knows."""

    endpoint: str
    p256dh: str
    auth: str
    device: str = ""
    """desktop, mobile, or empty."""
    wording: str = ""
    """What the person was asked and said yes to: it is their consent. Empty: it is only renewed, and consents to
    nothing."""


async def subscribe(context: Context, shop_id: int, person_id: int, wish: Wish, now: datetime) -> int:
    """The number of the subscription, in shop time `now`; again and again for the same browser is once. A browser that
    somebody else had is this person's from now on. Raises `BadSubscription`."""
    check(context, wish)
    hmac = address_hmac(context.pepper, "push", wish.endpoint)

    async def once(db: Connection) -> int:
        before = await subscriptions.owner(db, shop_id, hmac)
        people = {person_id} | ({before} if before is not None else set())
        await persons.lock(db, shop_id, sorted(people))
        if await subscriptions.owner(db, shop_id, hmac) != before:
            raise Moved
        device = wish.device if wish.device in ("desktop", "mobile") else ""
        number = await subscriptions.keep(
            db, shop_id, person_id, wish.endpoint, hmac, wish.p256dh, wish.auth, push_key(context), device, now
        )
        await persons.identify(db, shop_id, {("push", hmac.hex()): person_id}, now)
        await subscriptions.trim(db, shop_id, person_id, MOST)
        if wish.wording:
            wording = wish.wording[:LONGEST_WORDING]
            proof = f"subscription {number}"
            row = ConsentRow(person_id, PURPOSE, "confirmed", now, SOURCE, proof, wording, confirmed_at=now)
            await consents.add(db, shop_id, [row], now)
        await persons.raise_facts(db, shop_id, sorted(people))
        await carts.look_again(db, shop_id, [person_id], now)
        return number

    for _ in range(MOVES):
        try:
            number = await again(context.pool, once)
        except Moved:
            continue
        log.info("tracked", shop=context.shop_called(shop_id), kind="subscribed", person=person_id)
        return number
    raise BadSubscription("the browser changes hands too often")


async def unsubscribe(context: Context, shop_id: int, endpoint: str) -> bool:
    """This browser takes no more pushes, effective with the next claim. False: it did not anyway."""
    hmac = address_hmac(context.pepper, "push", endpoint)

    async def once(db: Connection) -> bool:
        before = await subscriptions.owner(db, shop_id, hmac)
        if before is None:
            return False
        await persons.lock(db, shop_id, [before])
        if await subscriptions.owner(db, shop_id, hmac) != before:
            raise Moved
        await subscriptions.remove(db, shop_id, [hmac])
        await persons.raise_facts(db, shop_id, [before])
        return True

    for _ in range(MOVES):
        try:
            done = await again(context.pool, once)
        except Moved:
            continue
        if done:
            log.info("tracked", shop=context.shop_called(shop_id), kind="unsubscribed", channel="webpush")
        return done
    return False


def push_key(context: Context) -> str:
    """The public key that browsers subscribe with now; empty where nothing is pushed."""
    return str(getattr(context.channels.get("webpush"), "public_key", ""))


def check(context: Context, wish: Wish) -> None:
    """Raises `BadSubscription` for an address that is never asked, and for keys that nothing can be encrypted with."""
    try:
        target(wish.endpoint, hosts_of(context.settings.push_hosts))
        point(wish.p256dh)
        secret(wish.auth)
    except (Forbidden, BadKey) as error:
        raise BadSubscription(str(error)) from None
