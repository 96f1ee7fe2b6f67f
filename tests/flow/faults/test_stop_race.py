"""A STOP at the very moment of the claim: whoever was first gets no text."""

from __future__ import annotations

import aiohttp
import pytest
from twilio.request_validator import RequestValidator

from daemon.demo.twilio import ACCOUNT, TOKEN
from tests.flow.faults.waves import FIFTH, NEVER, grace, in_waves

PROVIDER = 0.3
"""Seconds that Twilio takes for a text."""
WINDOW = (-0.35, 0.25)
"""Seconds from a text's time to its STOP, which has a way to go itself."""
NEAR = 0.5
"""Seconds between a claim and a STOP that are told as a race."""
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


async def stops(http, port, number, phone):
    """As Twilio tells of it: signed for the address that the world knows."""
    sid = f"SM{number:032x}"
    form = {"AccountSid": ACCOUNT, "MessageSid": sid, "SmsSid": sid, "SmsStatus": "received", "From": phone,
            "To": "+4915735980000", "Body": "STOP"}  # fmt: skip
    headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(URL, form)}
    async with http.post(f"http://127.0.0.1:{port}/hooks/channel/sms", data=form, headers=headers) as answer:
        assert answer.status == 204


async def race(stage, port, count):
    """Everybody says STOP around the moment at which their text is due."""
    pool = stage.context.pool
    for table in ("attempt", "suppression"):
        await pool.execute(f"ALTER TABLE {table} ADD COLUMN xid xid8 DEFAULT pg_current_xact_id()")
    await stage.prepared(count)
    await stage.relay.ask(delay=PROVIDER)
    await pool.execute(NEVER)
    await stage.worker()
    await stage.worker(only="web", TILLBELL_LISTEN=f"127.0.0.1:{port}")
    await stage.until(lambda: stage.value("SELECT count(*) > 1 FROM heartbeat"))
    rows = await stage.fetch(
        "SELECT m.id, p.phone FROM message m JOIN person p ON p.id = m.person_id ORDER BY md5(m.id::text)"
    )
    async with aiohttp.ClientSession() as http:
        await in_waves(
            stage,
            rows,
            WINDOW,
            lambda _, row: stops(http, port, row["id"], row["phone"]),
            lambda: stage.value("SELECT count(*) FROM suppression"),
        )

    async def over():
        return not await stage.value(WAITING)

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
    print(
        len(claims),
        "claims;",
        len([at for at in claims if at > -NEAR]),
        "near; latest",
        max(claims, default=0),
        "; first bytes, latest",
        max(begun, default=0),
    )
    assert [at for at in claims if at > 0] == []
    allowed = await grace(stage)
    assert [at for at in begun if at > allowed] == []
    assert count // FIFTH <= len(claims) < count, "each came first sometimes"
    await stage.no_deadlocks()
    await stage.books_are_clean()
