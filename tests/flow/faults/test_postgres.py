"""PostgreSQL goes, comes, answers badly or not at all: nothing is sent twice or lost, and work goes on by itself."""

from __future__ import annotations

from collections import Counter

import pytest


async def all_sent(stage, count, within=60):
    """Until every message was taken and recorded; each once."""

    async def done():
        return (await stage.states()).get("accepted", 0) == count

    await stage.until(done, within=within)
    taken = (await stage.relay.ask("taken"))["taken"]
    copies = Counter(address for _, address, _ in taken)
    assert [address for address, number in copies.items() if number > 1] == []
    assert len(copies) == count


async def works(stage, proxy):
    """A worker that reaches the database by way of this proxy; it has begun."""

    async def beats():
        return bool(await stage.value("SELECT count(*) FROM heartbeat"))

    worker = await stage.worker(TILLBELL_DATABASE_URL=proxy.before(stage.env["TILLBELL_DATABASE_URL"]))
    await stage.until(beats)
    return worker


@pytest.mark.parametrize(
    ("eaten", "messages"),
    [
        pytest.param(40, 600, id="forty answers to COMMIT are lost"),
        pytest.param(200, 2000, id="two hundred answers to COMMIT are lost", marks=pytest.mark.long),
    ],
)
async def test_a_lost_answer_to_commit_costs_no_message_and_no_copy(eaten, messages, make_stage, make_proxy):
    stage = await make_stage(smtp_connections="5")
    await stage.prepared(messages)
    proxy = await make_proxy(stage.env["TILLBELL_DATABASE_URL"])
    await works(stage, proxy)
    proxy.eat(b"COMMIT;", times=eaten)
    await all_sent(stage, messages)
    assert proxy.eaten == eaten
    assert await stage.value("SELECT max(tries) FROM message") == 1
    await stage.no_deadlocks()
    await stage.books_are_clean()
