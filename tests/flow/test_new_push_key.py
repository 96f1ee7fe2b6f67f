"""The key of web pushes was changed: whoever still knows the old one costs nobody else their pushes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from channels.webpush import Config, WebPush
from channels.webpush_bytes import made, signer
from daemon.clock import machine_now
from daemon.demo.push_service import Browser, PushService
from daemon.flow.subscriptions import Wish, subscribe

LADDER = """
extends: default
starts: {rests_for: 1h}
quiet:
steps: [{name: glance, send: webpush, after: 4h}]
without: [remind, doubts, last-call]
"""


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    running = PushService(lambda: machine_now().timestamp())
    await running.start()
    yield running
    await running.close()


async def subscribes(town: Any, service: PushService, key: str, at: datetime) -> Browser:
    """Ada takes pushes with one more browser, which gets this private key's public one."""
    one = service.browser(signer(key).public)
    ada = await town.value("SELECT id FROM person")
    await subscribe(town.context, town.shop_id, ada, Wish(one.endpoint, one.p256dh, one.auth, wording="May we?"), at)
    return one


async def test_a_browser_that_knows_an_old_key_is_left_alone_until_it_comes_by(
    make_town: Any, make_buyer: Any, service: PushService
) -> None:
    old, new = made(), made()
    words = {"push_contact": "mailto:push@shop.example", "push_hosts": (service.url,)}
    town = await make_town(policies={"main": LADDER}, push_private_key=SecretStr(old), **words)
    await town.leaves_cart("c1", make_buyer("ada"), "boots")
    at = await town.now()
    before = await subscribes(town, service, old, at + timedelta(minutes=1))  # seen last
    await town.context.channels["webpush"].close()
    config = Config(private_key=SecretStr(new), contact="mailto:push@shop.example", hosts=(service.url,))
    town.context.channels["webpush"] = WebPush(config)
    now = await subscribes(town, service, new, at)
    await town.passes(hours=5)
    assert (len(before.shown), len(now.shown), service.refused) == (0, 1, [])
    assert await town.value("SELECT count(*) FROM channel_rest") == 0
    assert await town.value("SELECT count(*) FROM subscription") == 2
