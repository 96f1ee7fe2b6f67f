"""Workers are killed in the middle of their work: nothing is sent twice, nothing is lost, the rest is accounted for."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter

import pytest

CONNECTIONS = 5
SLICE, RELAY = 150, 0.05
"""So many come due at a time, and so many seconds the relay takes for each: no machine sends them within 0.7 s."""
CLAIMED = 2 * CONNECTIONS
"""A worker has claimed at most so many at once."""
WAITING = "SELECT count(*) FROM message WHERE state IN ('planned', 'prepared', 'retry_wait', 'sending')"
LATER = "UPDATE message SET not_before = '2100-01-01', not_after = '2101-01-01'"
TO_SEND = """
SELECT count(*) FROM message WHERE state IN ('planned', 'prepared', 'retry_wait') AND not_before < '2100-01-01'
"""
DUE = """
UPDATE message SET not_before = $2 WHERE id IN (SELECT id FROM message WHERE not_before >= '2100-01-01' LIMIT $1)
"""


async def kills(stage, count):
    """One of two workers, again and again, while it has a transaction open. So many must hit."""
    chance = random.Random(11)
    await stage.context.pool.execute(LATER)
    workers = [await stage.worker(), await stage.worker()]

    async def busy():
        under_way = (await stage.relay.ask("under_way"))["under_way"]
        return [one for one in workers if under_way.get(one.name)]

    async def busy_or_done():
        return await busy() or not await stage.value(TO_SEND)

    while sum(map(bool, (await stage.relay.ask("cut"))["cut"].values())) < count:
        if not await stage.value(TO_SEND):
            due = await stage.context.pool.execute(DUE, SLICE, await stage.now())
            assert due != "UPDATE 0", "all is sent, and too few kills have hit"
        await stage.until(busy_or_done)
        await asyncio.sleep(chance.uniform(0, 0.6))  # the fault itself: a random moment
        if found := await busy():
            victim = chance.choice(found)
            victim.sends(signal.SIGKILL)
            workers.remove(victim)
            workers.append(await stage.worker())
        await no_back_off(stage)
    await stage.context.pool.execute(DUE, 10_000, await stage.now())


async def no_back_off(stage):
    """What the relay refused waits for a minute: here that is over at once."""
    await stage.context.pool.execute("UPDATE message SET retry_real = NULL WHERE state = 'retry_wait'")


@pytest.mark.timeout(600)
async def test_killed_workers_send_nothing_twice(make_stage):
    messages, least = 3000, 15
    stage = await make_stage(smtp_connections=str(CONNECTIONS), smtp_to_dot="3s", smtp_from_dot="5s")
    await stage.prepared(messages)
    await stage.relay.ask(delay=RELAY, faults=0.1, pipelining=True)
    await kills(stage, least)

    async def all_tried():
        await no_back_off(stage)
        under_way = (await stage.relay.ask("under_way"))["under_way"]
        return not under_way and set(await stage.states()) <= {"accepted", "unknown", "sending"}

    async def all_recorded():
        await no_back_off(stage)
        return not await stage.value(WAITING)

    await stage.until(all_tried, within=300)
    await stage.leases_end()
    await stage.until(all_recorded)
    await settles(stage)
    told = await stage.relay.ask("taken", "begun", "ambiguous", "cut", "faults")
    rows = await stage.fetch(
        "SELECT m.state, p.email FROM message m JOIN person p ON p.shop_id = m.shop_id AND p.id = m.person_id"
    )
    unknown = {row["email"] for row in rows if row["state"] == "unknown"}
    accepted = {row["email"] for row in rows if row["state"] == "accepted"}
    taken = {address for _, address, _ in told["taken"]}
    never_seen = unknown - {address for address, _ in told["begun"]}
    copies = Counter(message_id for message_id, _, _ in told["taken"])
    killed = len(stage.born) - 2
    hit = sum(map(bool, told["cut"].values()))
    print(f"{killed} kills, {hit} hit; {len(accepted)} accepted; {len(unknown)} unknown, {len(never_seen)} never seen")
    print(f"{len(told['ambiguous'])} ambiguous; the relay's faults: {told['faults']}")
    assert {message for message, count in copies.items() if count > 1} == set()
    assert hit >= least
    assert len(unknown) <= CLAIMED * killed + len(told["ambiguous"])
    assert accepted <= taken
    assert len(accepted) == messages - len(unknown)
    await stage.no_deadlocks()
    await stage.books_are_clean()


async def settles(stage):
    """The rules have been asked about all that was recorded."""

    async def asked():
        return not await stage.value("SELECT count(*) FROM recovery WHERE wake_at <= $1", await stage.now())

    await stage.until(asked, within=60)
