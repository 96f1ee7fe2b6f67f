"""What may no longer be kept is forgotten; that it happened stays."""

from __future__ import annotations

from datetime import timedelta

from daemon.flow import forget
from daemon.hits import Hit
from daemon.store import clock, events
from daemon.store.database import new_id
from tests.letters import make_context, write_letter


async def test_texts_and_user_agents_are_forgotten_in_time(make_town, make_buyer, links_of):
    town = await make_town(keep_content=timedelta(days=5), keep_hits=timedelta(microseconds=1))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    [mail] = town.letters.of("1@example.org")
    pixel = f"{town.public}/o/{links_of(mail)['o'][0]}.gif"
    async with town.http.get(pixel, headers={"User-Agent": "Thunderbird"}):
        pass
    await town.passes(days=3)
    assert await town.value("SELECT count(*) FROM message WHERE content IS NOT NULL") == 3
    assert [tuple(row) for row in await town.fetch("SELECT kind, user_agent, ip_net FROM event")] == [
        ("opened", "", "")
    ]
    await town.passes(days=6)
    assert await town.value("SELECT count(*) FROM message WHERE content IS NOT NULL") == 0
    assert await town.value("SELECT count(*) FROM message WHERE state = 'accepted'") == 3
    await town.books_are_clean()


async def test_of_hits_that_say_the_same_the_newest_stays(database, tmp_path):
    """Else whoever reloads a page for years is in every row of it."""
    context = await make_context(database, tmp_path)
    pool, shop_id = context.pool, context.shop_ids["main"]
    over, under_way = [await write_letter(pool, shop_id, f"{name}@example.org") for name in ("ada", "bob")]
    await pool.execute(
        "UPDATE recovery SET state = 'ended', end_reason = 'expired', ended_at = now(), wake_at = NULL WHERE id = $1",
        over.recovery_id,
    )
    now = await clock.shop_now(pool)
    sort = [("opened", None), ("opened", None), ("clicked", 1), ("clicked", 1), ("clicked", 2), ("unsubscribed", None)]
    hits = [
        Hit(new_id(), kind, shop_id, letter.id, link, "GET", "Thunderbird", "192.0.2.0/24", now - timedelta(hours=ago))
        for letter in (over, under_way)
        for kind, link in sort
        for ago in (3, 2, 1)
    ]
    async with pool.acquire() as db:
        await events.record(db, hits)
    class_ = "CASE WHEN at = $1 THEN 'machine' ELSE 'human' END"
    await pool.execute(f"UPDATE event SET handled_at = at, class = {class_}", hits[0].at)
    before = await report(pool)
    for days, kept in ((29, {over.id: 18, under_way.id: 18}), (2, {over.id: 2 + 2 + 2 + 3, under_way.id: 18})):
        await pool.execute("UPDATE event SET recorded_at = recorded_at - $1::interval", timedelta(days=days))
        await forget.what_is_old(context, shop_id, {}, now)
        assert dict(await pool.fetch("SELECT message_id, count(*) FROM event GROUP BY 1")) == kept
    assert await report(pool) == before
    assert await pool.fetchval("SELECT count(*) FROM event WHERE user_agent <> '' OR ip_net <> ''") == 0
    await context.pool.close()


async def report(pool):
    """What any answer is made of: which kind, of whom, by which link, and when the last time."""
    return await pool.fetch(
        "SELECT message_id, kind, class, link_no, max(at) FROM event GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
    )
