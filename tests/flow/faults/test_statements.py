"""What five hundred messages cost the database, and that none of it grows with what lies there."""

from __future__ import annotations

from dataclasses import replace

import asyncpg

from channels.base import Mail, Message, Outcome
from daemon.flow import decide, deliver, outcomes, prepare
from daemon.store import database

NO_WORK = ("BEGIN", "COMMIT", "SELECT current_setting('jit')", "SELECT set_config", "WITH RECURSIVE typeinfo_tree")
"""What frames a transaction, and what asyncpg asks once in the life of a connection."""
NO_MAIL = Mail("", "", "", "", "", "", "")


async def counting(stage, said):
    """A context whose one connection tells each statement that it sends."""

    async def listen(connection):
        connection.add_query_logger(tell)

    def tell(one):
        said.append(" ".join(one.query.split()))

    pool = await asyncpg.create_pool(
        stage.env["TILLBELL_DATABASE_URL"],
        min_size=1,
        max_size=1,
        init=database._prepare,
        reset=database._nothing_to_reset,
        setup=listen,
    )
    stage.stack.push_async_callback(pool.close)
    return replace(stage.context, pool=pool, deliveries={}, rung=set())


async def test_five_hundred_messages_take_at_most_forty_statements(make_stage):
    """From decided to recorded; the channel has room for as many as a claim may take."""
    stage = await make_stage(smtp_connections="64")
    await stage.prepared(500)
    now = await stage.now()
    for undone in ("DELETE FROM link", "DELETE FROM message", f"UPDATE recovery SET wake_at = '{now}'"):
        await stage.context.pool.execute(undone)
    said: list[str] = []
    context = await counting(stage, said)
    assert await decide.due_recoveries(context, stage.shop_id, now) == 500
    assert await prepare.planned_messages(context, stage.shop_id, now) == 500
    done = []
    while len(done) < 500:
        _, claims = await deliver.claim(context, stage.shop_id, "email", now, deliver.MOST)
        assert claims
        for one, _ in claims:
            done.append((Message(stage.shop_id, one.id, one.fence, "", NO_MAIL), Outcome("accepted")))
    await outcomes.write(context, stage.shop_id, "email", done)
    assert await stage.states() == {"accepted": 500}
    statements = [one for one in said if not one.startswith(NO_WORK)]
    assert len(statements) <= 40, "\n".join(one[:80] for one in statements)
