"""A relay that cannot be reached, or turns us away: the messages wait, and none of them loses a try by it."""

from __future__ import annotations

from collections import Counter

import pytest

from channels.email import Config
from daemon.clock import monotonic
from daemon.flow import deliver

ROUNDS = 15
"""More than a message has tries."""
FIRST_BYTE = 1.0
"""Seconds for which a message waits for a connection, as a daemon has it."""
LONGEST = 30
"""Seconds that a connection and its greeting may take."""
RESTS = "SELECT extract(epoch FROM until_real - clock_timestamp())::float AS left, reason FROM channel_rest"


async def tries(stage):
    """Whatever waits is due, all rests are over; then what can leave is handed over."""
    pool = stage.context.channels["email"].pool
    pool.rests_until = 0.0
    await stage.context.pool.execute("UPDATE message SET retry_real = NULL WHERE state = 'retry_wait'")
    await stage.context.pool.execute("UPDATE channel_rest SET until_real = clock_timestamp()")
    await deliver.due_messages(stage.context, stage.shop_id, await stage.now())

    async def recorded():
        return not pool.opening and not any(one.under_way for one in stage.context.deliveries.values())

    await stage.until(recorded)


async def waiting(stage):
    return [
        tuple(row)
        for row in await stage.fetch(
            "SELECT state, reason, tries, count(*)::int FROM message WHERE state <> 'prepared' GROUP BY 1, 2, 3"
        )
    ]


async def all_taken_once(stage, count):
    while (await stage.states()).get("accepted", 0) < count:
        await tries(stage)
    copies = Counter(message_id for message_id, _, _ in (await stage.relay.ask("taken"))["taken"])
    assert (len(copies), set(copies.values())) == (count, {1})
    await stage.books_are_clean()


@pytest.mark.parametrize("fault", ["nobody listens", "busy at the greeting"])
async def test_a_relay_out_of_reach_costs_no_try(make_stage, fault, unused_tcp_port):
    port = {"smtp_port": str(unused_tcp_port)} if fault == "nobody listens" else {}
    stage = await make_stage(smtp_connections="2", **port)
    await stage.prepared(6)
    await stage.relay.ask(greeting="421 4.3.2 busy")
    for _ in range(ROUNDS):
        await tries(stage)
    said = "connection" if port else "421 4.3.2"
    assert {row[:3] for row in await waiting(stage)} == {("retry_wait", said, 0)}
    latest = await stage.value("SELECT max(retry_real) - clock_timestamp() FROM message")
    assert latest.total_seconds() <= 60, "back within a minute when the relay is"
    assert await stage.fetch(RESTS) == []
    attempts = await stage.value("SELECT count(*) FROM attempt")
    assert attempts <= 2 * ROUNDS + 4, "one connection on trial, two messages claimed for it"
    if not port:
        await stage.relay.ask(greeting="220 relay ready")
        await all_taken_once(stage, 6)


async def test_a_slow_greeting_gives_the_messages_back_and_is_waited_for(make_stage, monkeypatch):
    monkeypatch.setattr("channels.email.FIRST_BYTE", FIRST_BYTE)
    stage = await make_stage(smtp_connections="2")
    await stage.prepared(4)
    await stage.relay.ask(delay_at_greeting=3.5)
    now = await stage.now()
    await deliver.due_messages(stage.context, stage.shop_id, now)

    async def given_back():
        return await waiting(stage) == [("retry_wait", "not_sent", 0, 4)]

    await stage.until(given_back)

    async def all_accepted():
        await deliver.due_messages(stage.context, stage.shop_id, now)
        return (await stage.states()).get("accepted") == 4

    await stage.until(all_accepted)
    assert await stage.value("SELECT count(*) FROM attempt") <= 12, "not claimed in vain again and again"
    await all_taken_once(stage, 4)


@pytest.mark.long
async def test_a_greeting_that_takes_longer_than_we_wait_is_a_relay_out_of_reach(make_stage):
    """We wait for thirty seconds. Nobody else waits meanwhile, and no message loses a try."""
    assert Config(host="relay.example").connect_within.total_seconds() == LONGEST
    stage = await make_stage(smtp_connections="2")
    await stage.prepared(4)
    await stage.relay.ask(delay_at_greeting=LONGEST + 10)
    began = monotonic()
    await tries(stage)
    assert LONGEST <= monotonic() - began <= LONGEST + 20
    assert [row[:3] for row in await waiting(stage)] == [("retry_wait", "not_sent", 0)]
    latest = await stage.value("SELECT max(retry_real) - clock_timestamp() FROM message")
    assert latest.total_seconds() <= 60
    assert await stage.fetch(RESTS) == [], "the channel is not at fault"
    await stage.relay.ask(delay_at_greeting=0.0)
    await all_taken_once(stage, 4)


@pytest.mark.parametrize(
    ("settings", "because"),
    [
        pytest.param({"smtp_tls": "implicit"}, "TLS failed", id="no TLS where it has to be"),
        pytest.param({"smtp_tls": "starttls"}, "does not offer STARTTLS", id="no STARTTLS"),
        pytest.param({"smtp_username": "shop", "smtp_password": "wrong"}, "AUTH answered 535", id="wrong password"),
    ],
)
async def test_a_relay_that_will_not_have_us_rests_the_channel(make_stage, settings, because):
    stage = await make_stage(smtp_connections="2", **settings)
    await stage.prepared(6)
    await stage.relay.ask(login="535 5.7.8 no" if "smtp_username" in settings else "")
    rests = []
    for _ in range(ROUNDS):
        await tries(stage)
        [(left, reason)] = await stage.fetch(RESTS)
        assert because in reason
        rests.append(left)
    ceilings = [min(3600, 30 * 2**times) for times in range(ROUNDS)]
    assert all(top / 2 < left <= top for left, top in zip(rests, ceilings, strict=True)), rests
    assert {(state, spent) for state, _, spent, _ in await waiting(stage)} == {("retry_wait", 0)}
    assert await deliver.due_messages(stage.context, stage.shop_id, await stage.now()) == 0, "it rests"
    if "smtp_username" in settings:
        await stage.relay.ask(login="235 2.7.0 welcome")
        await all_taken_once(stage, 6)
        assert await stage.fetch(RESTS) == []
