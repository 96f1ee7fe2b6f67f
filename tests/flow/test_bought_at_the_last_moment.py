"""Who buys between the claim and the first byte gets nothing more, whatever the channel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from channels.webpush_bytes import made, signer
from daemon.clock import machine_now
from daemon.demo.push_service import PushService
from daemon.flow import ingest, keep
from daemon.flow.subscriptions import Wish, subscribe
from daemon.shops.base import ConsentHint, Customer, OrderSnapshot
from daemon.store import messages, work
from daemon.store.database import again

from .audience_town import platform, shops
from .conftest import SHOPS, Town

POLICY = """
extends: default
starts: {{rests_for: 1h}}
quiet:
without: [{others}]
steps:
  - {{{step}, after: 2h}}
"""
STEPS = {
    "email": ("doubts, last-call", "name: remind"),
    "sms": ("remind, doubts, last-call", "name: nudge, send: sms"),
    "webpush": ("remind, doubts, last-call", "name: glance, send: webpush"),
    "audience": ("remind, doubts, last-call", "name: retarget, send: audience, audience: shoes, for: 3d"),
}
PURPOSES = ("email_mkt", "sms_mkt", "push_mkt", "ads_audience")
AGREED = tuple(ConsentHint(one, "confirmed", None, "checkout", "box 7") for one in PURPOSES)
ADA = Customer(ref="ada", email="ada@example.org", phone="+4915112345678", country="DE", consents=AGREED)


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    made_ = PushService(lambda: machine_now().timestamp())
    await made_.start()
    yield made_
    await made_.close()


async def buys(town: Town) -> None:
    """As the shop pushes it, while the daemon is in the middle of something."""
    now = await town.now()
    order = OrderSnapshot("o1", now, "paid", "purchase", Decimal("49.90"), "EUR", ADA.ref, ADA.email)

    async def body(db: Any) -> int:
        await work.serialise(db, town.shop_id)
        look = keep.Look(now, ingest.micros(now), pushed=True)
        return await keep.keep_orders(town.context, db, town.shop_id, [order], look)

    await again(town.context.pool, body)


@pytest.mark.parametrize(
    ("others", "step"),
    [
        pytest.param(*words, id=channel, marks=pytest.mark.long if channel == "email" else ())
        for channel, words in STEPS.items()
    ],
)
async def test_nothing_leaves(make_town, twilio, at_twilio, service, monkeypatch, others, step):
    key = made()
    async with platform("meta") as (meta, _, words):
        town = await make_town(
            shops(SHOPS, words),
            {"main": POLICY.format(others=others, step=step)},
            **at_twilio,
            twilio_from="+4915735980000",
            push_private_key=SecretStr(key),
            push_contact="mailto:push@shop.example",
            push_hosts=(service.url,),
        )
        await town.leaves_cart("c1", ADA, "red")
        browser = service.browser(signer(key).public)
        wish = Wish(browser.endpoint, browser.p256dh, browser.auth, wording="May we?")
        await subscribe(town.context, town.shop_id, await town.value("SELECT id FROM person"), wish, await town.now())
        real, asked = messages.still_wanted, []

        async def last_look(db: Any, shop_id: int, claims: Any) -> set[int]:
            """She pays in this very moment."""
            if not asked:
                asked.append(await town.value("SELECT state FROM message"))
                await buys(town)
            return await real(db, shop_id, claims)

        monkeypatch.setattr(messages, "still_wanted", last_look)
        await town.passes(hours=3)
        assert asked == ["sending"]
        assert (town.letters.taken, twilio.posts, service.taken, meta.calls) == ([], [], [], [])
        assert await town.ends() == {"purchase": 1}
        assert await town.value("SELECT state FROM message") == "cancelled"
        assert await town.value("SELECT count(*) FROM member") == 0
        await town.books_are_clean()
