"""A hundred thousand mails are due, a slow relay takes them, and the shop posts 10,000 events a minute meanwhile."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from standardwebhooks import Webhook

from daemon.clock import machine_now, monotonic

SECONDS = 60
LAG = 0.1
"""Seconds by which the event loop is late, 99 times of a hundred, where the machine is ours alone."""
SHARED = 5
"""On a busy one: so many times what a process with next to nothing to do is late there."""
A_MINUTE = 10_000
LARGEST = 256
"""MB that one process may ever have held."""
CLAIMED = 256
"""Messages that one process may have claimed at a time: a few windows."""
KEPT, SLOWEST = 0.95, 2.5
"""Of the events that the shop posts so many are taken at once, and each is answered within so many seconds; where the
machine is busy with something else, as `LAG` of a process with next to nothing to do says, turns are waited for."""
FIRST, COPIES, STRIDE = 2_000, 50, 10_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = (
    '{"type":"cart.updated","timestamp":"%s","data":{"ref":"e%d","currency":"EUR","total":"5","lines":'
    '[{"product_ref":"red","name":"Schuh","quantity":"1"}],"customer":{"email":"e%d@example.org"}}}'
)
# Each person of the first ones, with all that hangs on them, so many times: what differs is in the second column.
COPIED = {
    "person": "'email', n || '.' || email, 'email_hmac', sha256((n || '.' || email)::bytea), "
    "'customer_ref', n || '.' || customer_ref",
    "consent": "'person_id', person_id + n * {stride}",
    "cart": "'person_id', person_id + n * {stride}, 'ref', n || '.' || ref",
    "recovery": "'person_id', person_id + n * {stride}, 'cart_id', cart_id + n * {stride}",
    "message": "'person_id', person_id + n * {stride}, 'recovery_id', recovery_id + n * {stride}, "
    "'consent_id', consent_id + n * {stride}",
}


async def multiplied(pool):
    async with pool.acquire() as db:
        await db.execute("SET statement_timeout = 0")
        await db.execute("SET session_replication_role = replica")
        for table, words in COPIED.items():
            differs = words.format(stride=STRIDE)
            await db.execute(
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT made.* FROM {table} t "
                f"CROSS JOIN generate_series(1, {COPIES - 1}) AS n, LATERAL jsonb_populate_record(t, "
                f"jsonb_build_object('id', t.id + n * {STRIDE}::bigint, {differs})) AS made",
                timeout=120,
            )
        await db.execute("RESET session_replication_role")
        await db.execute("RESET statement_timeout")
        await db.execute("ANALYZE")


async def post_all(url):
    """So many events, at an even pace; how often each status came, and the longest answer in seconds."""
    answers, longest = Counter(), 0.0
    began, number = monotonic(), A_MINUTE * SECONDS // 60

    async def post(session, n):
        nonlocal longest
        at = datetime.fromtimestamp(int(machine_now().timestamp()), UTC)
        body = EVENT % (at.isoformat().replace("+00:00", "Z"), n, n)
        signature = Webhook(SECRET).sign(f"e-{n}", at, body)
        headers = {"webhook-id": f"e-{n}", "webhook-timestamp": f"{at.timestamp():.0f}", "webhook-signature": signature}
        asked = monotonic()
        async with session.post(url, data=body, headers=headers) as answer:
            answers[answer.status] += 1
        longest = max(longest, monotonic() - asked)

    async def lane(session, lanes, first):
        for n in range(first, number, lanes):
            await asyncio.sleep(max(0.0, n * SECONDS / number - (monotonic() - began)))
            await post(session, n)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=40)) as session, asyncio.TaskGroup() as group:
        for first in range(40):
            group.create_task(lane(session, 40, first))
    return answers, longest


def ninety_nine(metrics, name):
    """The bound under which 99 of 100 observations lie."""
    rows = [(float(le), float(n)) for le, n in re.findall(rf'^{name}_bucket{{le="(.*)"}} (.*)$', metrics, re.MULTILINE)]
    return next(bound for bound, number in rows if number >= 0.99 * rows[-1][1])


def most_memory(pid):
    """MB, as the kernel remembers them (proc(5), VmHWM)."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_neither_memory_nor_claims_grow_with_what_is_waiting(make_stage, unused_tcp_port_factory):
    public, private = unused_tcp_port_factory(), unused_tcp_port_factory()
    stage = await make_stage(smtp_connections="10")
    await stage.prepared(FIRST)
    await multiplied(stage.context.pool)
    assert (await stage.states()) == {"prepared": FIRST * COPIES}
    await stage.relay.ask(delay=0.3)
    here = {"TILLBELL_LISTEN": f"127.0.0.1:{public}", "TILLBELL_PRIVATE_LISTEN": f"127.0.0.1:{private}"}
    process = await stage.worker(only="all", **here)

    async def sends():
        return (await stage.states()).get("accepted", 0) > 0

    await stage.until(sends, within=60)
    claimed = 0
    posting = asyncio.create_task(post_all(f"http://127.0.0.1:{public}/hooks/shop/main"))
    while not posting.done():
        claimed = max(claimed, await stage.value("SELECT count(*) FROM message WHERE state = 'sending'"))
        await asyncio.wait([posting], timeout=0.5)
    answers, longest = await posting
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{private}/metrics") as told:
        lag = ninety_nine(await told.text(), "tillbell_loop_lag_seconds")
    late = sorted((await stage.relay.ask("late"))["late"])
    idle = late[len(late) * 99 // 100]
    memory, sent = most_memory(process.pid), (await stage.states())["accepted"]
    print(
        f"{memory:.0f} MB at most, lag p99 <= {lag * 1000:.0f} ms ({idle * 1000:.0f} idle), {claimed} claimed, "
        f"{sent} sent, answers {dict(answers)}, the slowest {longest:.2f} s"
    )
    assert memory <= LARGEST
    assert lag <= max(LAG, SHARED * idle)
    assert 0 < claimed <= CLAIMED
    assert set(answers) <= {202, 503}
    assert answers[202] >= KEPT * sum(answers.values()) or idle > LAG
    assert sum(answers.values()) == A_MINUTE * SECONDS // 60
    assert longest <= SLOWEST + SHARED * late[-1]
    assert await stage.value("SELECT count(*) FROM inbox") >= answers[202]  # of 503 some were kept after all
    assert process.lives()
