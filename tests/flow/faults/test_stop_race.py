"""A STOP at the very moment of the claim: whoever was first gets no text."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import aiohttp
import pytest
from twilio.request_validator import RequestValidator

from daemon.demo.twilio import ACCOUNT, TOKEN

PROVIDER = 0.3
"""Seconds that Twilio takes for a text."""
APART = 0.05
"""Seconds between one message's time and the next one's."""
GRACE = 0.05
"""Seconds after a STOP had its effect within which a first byte may still leave."""
URL = "https://t.shop.example/hooks/channel/sms"
STOPPED = """
SELECT p.id, p.phone, extract(epoch FROM pg_xact_commit_timestamp(s.xid::xid))::float8 AS at FROM suppression s
JOIN person p ON p.shop_id = s.shop_id AND p.phone_hmac = s.address_hmac
"""
CLAIMS = """
SELECT m.person_id, extract(epoch FROM pg_xact_commit_timestamp(a.xid::xid))::float8 AS at
FROM attempt a JOIN message m ON m.shop_id = a.shop_id AND m.id = a.message_id
"""
WAITING = "SELECT count(*) FROM message WHERE state IN ('prepared', 'sending', 'retry_wait')"
ONE_BY_ONE = """
UPDATE message m SET not_before = $1::timestamptz + n.place * $2::interval FROM unnest($3::bigint[])
WITH ORDINALITY AS n (id, place) WHERE m.id = n.id
"""


async def stops(http, port, number, phone):
    """As Twilio tells of it: signed for the address that the world knows."""
    sid = f"SM{number:032x}"
    form = {"AccountSid": ACCOUNT, "MessageSid": sid, "SmsSid": sid, "SmsStatus": "received", "From": phone,
            "To": "+4915735980000", "Body": "STOP"}  # fmt: skip
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(URL, form)}
    async with http.post(f"http://127.0.0.1:{port}/hooks/channel/sms", data=form, headers=headers) as answer:
        assert answer.status == 204


async def race(stage, port, count):
    """Everybody says STOP between 350 ms before their text is due and 250 ms after: it has a way to go itself."""
    pool = stage.context.pool
    for table in ("attempt", "suppression"):
        await pool.execute(f"ALTER TABLE {table} ADD COLUMN xid xid8 DEFAULT pg_current_xact_id()")
    await stage.prepared(count)
    await stage.relay.ask(delay=PROVIDER)
    await pool.execute("UPDATE message SET not_before = '2100-01-01', not_after = '2101-01-01'")
    await stage.worker()
    await stage.worker(only="web", TILLBELL_LISTEN=f"127.0.0.1:{port}")
    await stage.until(lambda: stage.value("SELECT count(*) > 1 FROM heartbeat"))
    rows = await stage.fetch(
        "SELECT m.id, p.phone FROM message m JOIN person p ON p.id = m.person_id ORDER BY md5(m.id::text)"
    )
    begin = await stage.now() + timedelta(seconds=1)
    await pool.execute(ONE_BY_ONE, begin, timedelta(seconds=APART), [row["id"] for row in rows])
    chance, loop = random.Random(5), asyncio.get_running_loop()
    start = loop.time() + (begin - await stage.now()).total_seconds()
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as everybody:

        async def leaves(place, row, offset):
            await asyncio.sleep(max(0, start + place * APART + offset - loop.time()))
            await stops(http, port, row["id"], row["phone"])

        for place, row in enumerate(rows, start=1):
            everybody.create_task(leaves(place, row, chance.uniform(-0.35, 0.25)))

    async def over():
        heard = await stage.value("SELECT count(*) FROM suppression") == count
        return heard and not await stage.value(WAITING)

    await stage.until(over)
    told = await stage.fetch(STOPPED)
    by_person, by_phone = {one["id"]: one["at"] for one in told}, {one["phone"]: one["at"] for one in told}
    claims = [row["at"] - by_person[row["person_id"]] for row in await stage.fetch(CLAIMS)]
    begun = [at - by_phone[phone] for phone, at in (await stage.relay.ask("begun"))["begun"]]
    return claims, begun


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "count",
    [
        pytest.param(30, id="thirty people"),
        pytest.param(500, id="five hundred people", marks=pytest.mark.long),
    ],
)
async def test_who_says_stop_first_gets_no_text(make_stage, unused_tcp_port_factory, count):
    stage = await make_stage(channel="sms", twilio_connections="20")
    if await stage.value("SHOW track_commit_timestamp") != "on":
        pytest.skip("this server does not keep the time of commits")
    claims, begun = await race(stage, unused_tcp_port_factory(), count)
    print(len(claims), "claims;", "latest", max(claims, default=0), "; first bytes, latest", max(begun, default=0))
    assert [at for at in claims if at > 0] == []
    assert [at for at in begun if at > GRACE] == []
    assert len(claims) > count / 10, "too few were claimed before: nothing was raced"
    await stage.no_deadlocks()
    await stage.books_are_clean()
