"""Step 9 as stories: what comes back of a mail, who was behind it, and what happens while the database is away."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from daemon.context import Context
from daemon.embedded import Servers, start
from daemon.embedded.server import Server
from daemon.flow import optout, stop, track
from daemon.hits import Hit
from daemon.migrate import migrate
from daemon.store import events, work
from daemon.store.clock import shop_now
from daemon.store.database import connect_pool, deadlocks, new_id
from daemon.web.serve import Served, serve
from tests.letters import BROWSER, Letter, as_process, make_context, write_letter

MPP = "Mozilla/5.0"
ONE_CLICK = {"data": "List-Unsubscribe=One-Click", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}


class Post:
    """Mails that have left, and the hits that come back of them, without the web in between."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.shop_id = context.shop_ids["main"]
        self.state: dict[str, object] = {}

    async def letter(self, email: str = "ada@example.org", **facts: object) -> Letter:
        return await write_letter(self.context.pool, self.shop_id, email, **facts)

    async def hit(
        self, letter: Letter, kind: str, ago: timedelta, link_no: int | None = None, ua: str = BROWSER
    ) -> None:
        at = await shop_now(self.context.pool) - ago
        hit = Hit(new_id(), kind, letter.shop_id, letter.id, link_no, "GET", ua, "192.0.2.0/24", at)
        async with self.context.pool.acquire() as db:
            await events.record(db, [hit])

    async def react(self, limit: int = 500) -> int:
        return await track.reactions(self.context, self.shop_id, await shop_now(self.context.pool), limit)

    async def looks_again(self) -> None:
        """The sweep, three quarters of an hour later."""
        pool = self.context.pool
        await pool.execute("UPDATE event SET recorded_at = recorded_at - interval '46 minutes'")
        self.state = await track.second_look(pool, self.shop_id, self.state, await shop_now(pool))

    async def classes(self) -> list[tuple[str, str]]:
        rows = await self.context.pool.fetch("SELECT kind, class FROM event ORDER BY at")
        return [(row["kind"], row["class"]) for row in rows]

    async def one(self, query: str, *values: object) -> object:
        return await self.context.pool.fetchval(query, *values)


@pytest.fixture
async def post(database: str, tmp_path: Path) -> AsyncIterator[Post]:
    context = await make_context(database, tmp_path)
    yield Post(context)
    await context.pool.close()


async def test_a_reader_is_noticed(post):
    letter = await post.letter()
    before = await post.one("SELECT wake_at FROM recovery")
    await post.hit(letter, "opened", timedelta(minutes=5))
    assert await post.react() == 1
    assert await post.classes() == [("opened", "human")]
    assert await post.one("SELECT facts_no FROM person") == 1
    assert await post.one("SELECT active_at FROM person") == await post.one("SELECT at FROM event")
    woken: datetime = await post.one("SELECT wake_at FROM recovery")
    assert woken < before
    assert woken <= await shop_now(post.context.pool)
    assert await post.react() == 0


async def test_a_machine_wakes_nobody_but_the_facts_are_new(post):
    letter = await post.letter()
    before = await post.one("SELECT wake_at FROM recovery")
    await post.hit(letter, "opened", timedelta(minutes=5), ua=MPP)
    assert await post.react() == 1
    assert await post.classes() == [("opened", "machine")]
    assert await post.one("SELECT active_at FROM person") is None
    assert await post.one("SELECT facts_no FROM person") == 1
    assert await post.one("SELECT wake_at FROM recovery") == before


async def test_the_hidden_link_unmasks_clicks_that_were_judged_before(post):
    letter = await post.letter()
    await post.hit(letter, "opened", timedelta(minutes=9))
    await post.hit(letter, "clicked", timedelta(minutes=5), link_no=0)
    await post.react()
    assert await post.classes() == [("opened", "human"), ("clicked", "human")]
    await post.hit(letter, "clicked", timedelta(minutes=4, seconds=30), link_no=3)
    assert await post.react() == 1
    assert await post.classes() == [("opened", "human"), ("clicked", "machine"), ("clicked", "machine")]


async def test_a_late_visit_makes_a_click_human_when_it_is_judged_again(post):
    letter = await post.letter()
    await post.hit(letter, "clicked", timedelta(minutes=5), link_no=0)
    await post.react()
    assert await post.classes() == [("clicked", "unknown")]
    await post.context.pool.execute("UPDATE cart SET changed_at = now() - interval '3 minutes'")
    facts_no: int = await post.one("SELECT facts_no FROM person")
    await post.looks_again()
    assert await post.classes() == [("clicked", "human")]
    assert await post.one("SELECT facts_no FROM person") == facts_no + 1


async def test_a_click_that_led_nowhere_stays_nobodys_and_is_not_judged_for_ever(post):
    letter = await post.letter()
    await post.hit(letter, "clicked", timedelta(minutes=5), link_no=0)
    await post.react()
    facts_no: int = await post.one("SELECT facts_no FROM person")
    await post.looks_again()
    assert await post.classes() == [("clicked", "unknown")]
    assert await post.one("SELECT facts_no FROM person") == facts_no
    await post.context.pool.execute("UPDATE cart SET changed_at = now() - interval '3 minutes'")
    before = post.state["judged"]
    post.state = await track.second_look(post.context.pool, post.shop_id, post.state, await shop_now(post.context.pool))
    assert (post.state["judged"], await post.classes()) == (before, [("clicked", "unknown")])


@pytest.mark.parametrize("days", [0, 2])
async def test_a_hit_proves_that_an_unknown_mail_arrived(post, days):
    letter = await post.letter(state="unknown")
    if days:
        await post.context.pool.execute(
            "UPDATE message SET state = 'unknown_final', reconcile_real = NULL, reason = 'x', ended_at = now()"
            " WHERE id = $1", letter.id,
        )  # fmt: skip
    await post.hit(letter, "opened", timedelta(minutes=5), ua=MPP)
    await post.react()
    row = await post.context.pool.fetchrow(
        "SELECT m.state, m.accepted_at, m.sending_at, m.reconcile_real, a.outcome FROM message m"
        " JOIN attempt a ON a.message_id = m.id WHERE m.id = $1",
        letter.id,
    )
    assert (row["state"], row["outcome"], row["reconcile_real"]) == ("accepted", "accepted", None)
    assert row["accepted_at"] >= row["sending_at"]


async def test_after_a_day_without_a_sign_it_counts_as_sent_and_whoever_holds_one_is_not_waited_for(post):
    letters = [await post.letter(f"p{number}@example.org", state="unknown") for number in range(4)]
    pool, held = post.context.pool, letters[0].id
    younger = "UPDATE message SET reconcile_real = clock_timestamp() + interval '1 hour' WHERE id = $1"
    await pool.execute(younger, letters[3].id)
    await work.add(pool, post.shop_id, ["sweep"], await shop_now(pool))

    async def finals() -> list[int]:
        await stop.sweep(post.context, post.shop_id, await shop_now(pool))
        return [
            row["id"] for row in await pool.fetch("SELECT id FROM message WHERE state = 'unknown_final' ORDER BY id")
        ]

    async with pool.acquire() as db, db.transaction():
        await db.execute("SELECT FROM message WHERE id = $1 FOR NO KEY UPDATE", held)
        assert await finals() == [letters[1].id, letters[2].id]
    assert await finals() == [letter.id for letter in letters[:3]]
    assert await post.one("SELECT count(*) FROM message WHERE ended_at IS NULL AND state = 'unknown_final'") == 0
    assert await post.one("SELECT state FROM message WHERE id = $1", letters[3].id) == "unknown"


async def test_a_hit_on_a_mail_that_is_gone_does_not_hold_up_the_rest(post):
    letter = await post.letter()
    gone = Letter(letter.shop_id, 999, 999, 999, "")
    await post.hit(gone, "opened", timedelta(minutes=6))
    await post.context.pool.execute("UPDATE event SET person_id = 999")
    await post.hit(letter, "opened", timedelta(minutes=5))
    assert await post.react() == 2
    assert await post.classes() == [("opened", "human"), ("opened", "human")]


async def test_a_batch_is_a_batch(post):
    letter = await post.letter()
    for minutes in range(10, 3, -1):
        await post.hit(letter, "opened", timedelta(minutes=minutes))
    assert [await post.react(limit=3) for _ in range(4)] == [3, 3, 1, 0]


async def test_hits_and_opt_outs_of_the_same_people_do_not_lock_each_other_out(post):
    letters = [await post.letter(f"p{n}@example.org") for n in range(30)]
    before = deadlocks.count
    for letter in letters:
        await post.hit(letter, "opened", timedelta(minutes=5))

    wishes = [Hit(new_id(), "unsubscribed", letter.shop_id, letter.id) for letter in reversed(letters)]
    await asyncio.gather(
        *(optout.settle(post.context.pool, wish) for wish in wishes), *(post.react(limit=10) for _ in range(3))
    )
    assert deadlocks.count == before
    assert await post.one("SELECT count(*) FROM suppression") == 30


SCANNERS = (MPP, "Barracuda Sentinel (EE)", "python-requests/2.31", "", BROWSER, "Mozilla/5.0 (Windows NT 10.0)")


@pytest.mark.parametrize("agent", SCANNERS, ids=lambda agent: agent or "without a name")
async def test_a_filter_that_follows_every_link_is_no_reader(post, agent):
    letters = [await post.letter(f"p{n}@example.org", sent_ago=timedelta(minutes=10)) for n in range(6)]
    for seconds, letter in enumerate(letters):
        later = timedelta(minutes=10) - timedelta(seconds=seconds)
        await post.hit(letter, "opened", later, ua=agent)
        for link_no in (0, 1, 2, 3):
            await post.hit(letter, "clicked", later, link_no=link_no, ua=agent)
        await post.hit(letter, "viewed", later, ua=agent)
    assert await post.react() == 36
    assert Counter(class_ for _, class_ in await post.classes()) == {"machine": 36}
    assert await post.one("SELECT count(*) FROM suppression") == 0
    assert await post.one("SELECT count(*) FROM recovery WHERE state = 'open'") == 6


# The database goes away


class House:
    """A web process whose PostgreSQL can be taken from it."""

    def __init__(self, context: Context, served: Served, server: Server, visitor: aiohttp.ClientSession) -> None:
        self.context, self.served, self.server, self.visitor = context, served, server, visitor
        self.turns = asyncio.Semaphore(64)

    async def ask(self, method: str, path: str, **how: object) -> tuple[int, str]:
        async with self.turns, self.visitor.request(method, path, allow_redirects=False, **how) as response:
            await response.read()
            return response.status, response.headers.get("Location", "")

    async def falls(self) -> None:
        assert self.server.process is not None
        self.server.process.kill()
        self.server.process.wait()

    async def ready(self) -> dict[str, object]:
        async with aiohttp.ClientSession() as operator:
            response = await operator.get(f"http://127.0.0.1:{self.served.private_port}/readyz")
            return {"code": response.status, **json.loads(await response.read())}


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait for a row."""
    async with asyncio.timeout(60):
        while not await true():
            await asyncio.sleep(0.05)


@pytest.fixture
async def private_server(open_folder: Path) -> AsyncIterator[Servers]:
    servers = await start(open_folder / "data", with_valkey=False, keep=False, settings={"fsync": "off"})
    await migrate(servers.database_url)
    yield servers
    await servers.stop()


@pytest.fixture
async def house(private_server: Servers, tmp_path: Path) -> AsyncIterator[House]:
    context = await make_context(private_server.database_url, tmp_path)
    served = await serve(context)
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{served.public_port}", headers={"User-Agent": BROWSER}
    ) as visitor:
        yield House(context, served, private_server.running[0], visitor)
    async with asyncio.timeout(60):  # whatever happened: it ends, and no connection is left out
        await served.close()
        await context.pool.close()


async def test_nothing_is_lost_while_the_database_is_away(house):
    shop_id = house.context.shop_ids["main"]
    letters = [await write_letter(house.context.pool, shop_id, f"p{n}@example.org") for n in range(40)]
    known, *others = letters
    assert await house.ask("GET", known.link(1)) == (302, "https://www.shop.example/p/1")

    await house.falls()
    clicks = [letter.link(1) for letter in others[:25] for _ in range(39)] + [known.link(1)] * 25
    answers = await asyncio.gather(*(house.ask("GET", path) for path in clicks))
    leaving = letters[20:]
    outs = await asyncio.gather(*(house.ask("POST", letter.way_out, **ONE_CLICK) for letter in leaving))
    assert Counter(answers) == {(302, "https://shop.example/cart"): 975, (302, "https://www.shop.example/p/1"): 25}
    assert outs == [(200, "")] * 20
    assert (await house.ask("GET", known.pixel))[0] == 200
    assert (await house.ask("GET", known.way_out))[0] == 200
    told = await house.ready()
    assert (told["code"], told["status"]) == (200, "degraded")
    assert any("PostgreSQL" in reason for reason in told["reasons"])
    assert house.served.journal_lines() == 1022

    await house.server.start()

    async def home() -> bool:
        return house.served.journal_lines() == 0

    await until(home)
    rows = await house.context.pool.fetch("SELECT kind, count(*) FROM event GROUP BY 1")
    assert {row["kind"]: row["count"] for row in rows} == {
        "clicked": 1001,
        "unsubscribed": 20,
        "opened": 1,
        "viewed": 1,
    }
    gone = await house.context.pool.fetch(
        "SELECT r.person_id FROM recovery r JOIN person p ON p.id = r.person_id"
        " JOIN suppression s ON s.address_hmac = p.email_hmac AND s.channel = 'email'"
        " JOIN message m ON m.recovery_id = r.id AND m.step = 'next'"
        " WHERE r.end_reason = 'unsubscribed' AND m.state = 'cancelled'"
    )
    assert {row["person_id"] for row in gone} == {letter.person_id for letter in leaving}
    assert (await house.ready())["status"] == "ready"


async def test_a_database_that_falls_amid_traffic_loses_no_answered_hit_and_doubles_none(house):
    shop_id = house.context.shop_ids["main"]
    letters = [await write_letter(house.context.pool, shop_id, f"p{n}@example.org") for n in range(20)]
    done = 0

    async def visitor(letter: Letter) -> int:
        nonlocal done
        answered = 0
        for _ in range(60):
            answered += (await house.ask("GET", letter.pixel))[0] == 200
            done += 1
        return answered

    traffic = [asyncio.create_task(visitor(letter)) for letter in letters]

    async def under_way() -> bool:
        return done > 300

    await until(under_way)
    await house.falls()
    await house.server.start()
    answered = sum(await asyncio.gather(*traffic))
    assert answered == 1200

    async def all_there() -> bool:
        if house.served.journal_lines():
            return False
        return await house.context.pool.fetchval("SELECT count(*) FROM event") >= answered

    await until(all_there)
    assert await house.context.pool.fetchval("SELECT count(*) FROM event") == answered
    assert await house.context.pool.fetchval("SELECT count(DISTINCT id) FROM event") == answered


async def test_what_a_dead_process_had_on_its_disk_is_taken_over(private_server, tmp_path):
    context = await make_context(private_server.database_url, tmp_path)
    letter = await write_letter(context.pool, context.shop_ids["main"], "ada@example.org")
    first = await serve(context)
    await private_server.running[0].stop()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{first.public_port}") as visitor:
        for path in (letter.pixel, letter.link(0)):
            async with visitor.get(path, allow_redirects=False) as response:
                assert response.status in (200, 302)
        async with visitor.post(letter.way_out, **ONE_CLICK) as response:
            assert response.status == 200
    await first.close()
    assert first.journal_lines() == 0  # it has let go of them
    await context.pool.close()
    await private_server.running[0].start()
    pool = await connect_pool(private_server.database_url)
    second = await serve(as_process(await make_context(private_server.database_url, tmp_path, pool), "web-2"))
    assert await pool.fetchval("SELECT count(*) FROM event") == 3  # before it answers its first request
    assert await pool.fetchval("SELECT count(*) FROM suppression") == 1
    await second.close()
    await pool.close()
