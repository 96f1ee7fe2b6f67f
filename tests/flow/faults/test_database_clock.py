"""The clock of PostgreSQL's machine, or of the workers', jumps while they run: nothing leaves early or twice, and all
goes on."""

from __future__ import annotations

import json
import signal
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.embedded import start
from daemon.migrate import migrate
from tests.conftest import FAST

DUE, LATER, BUSY = 120, 20, 5
CONNECTIONS = 5
HOUR, DAY = 3600, 86_400
LIBRARY = [*Path("/usr/lib").glob("*/faketime/libfaketime.so.1")]
WHEN = """
UPDATE message SET not_before = $1::timestamptz - interval '10 min' + $2::interval * (id <= $3)::int,
    not_after = $1::timestamptz + interval '40 h'
"""
REMINDED = "SELECT state, count(*)::int FROM message WHERE step = 'remind' GROUP BY 1"
EARLY = "SELECT count(*) FROM message WHERE sending_at < not_before"


@pytest.fixture
def jumpy(open_folder, needs_program):
    """Environment of a process whose clock is put forward and back by so many seconds, and `jumps(3600)` for it."""
    needs_program("faketime")
    [library] = LIBRARY
    offset = open_folder / "offset"

    def jumps(seconds):
        draft = offset.with_suffix(".new")
        draft.write_text(f"{seconds:+d}\n")
        draft.chmod(0o644)
        draft.rename(offset)

    jumps(0)
    words = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_CACHE_DURATION": "1"}
    return words | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}, jumps


@pytest.fixture
async def make_jumpy(open_folder, jumpy):
    """A server of this test alone on such a clock."""
    words, jumps = jumpy
    async with await start(open_folder / "own", with_valkey=False, keep=False, settings=FAST) as servers:
        [server] = servers.running
        await server.stop()
        server.command = ["/usr/bin/env", *(f"{name}={value}" for name, value in words.items()), *server.command]
        await server.start()
        await migrate(servers.database_url)
        yield servers.database_url, jumps


async def spread(stage):
    """Most are due, some in thirty hours, and for some the relay has no time; when that was."""
    await stage.prepared(DUE + LATER)
    began = await stage.now()
    highest = await stage.value("SELECT id FROM message ORDER BY id LIMIT 1 OFFSET $1", LATER - 1)
    await stage.context.pool.execute(WHEN, began, timedelta(hours=30), highest)
    busy = [
        row["email"]
        for row in await stage.fetch(
            "SELECT p.email FROM message m JOIN person p ON p.id = m.person_id ORDER BY m.id DESC LIMIT $1", BUSY
        )
    ]
    await stage.relay.ask(delay=0.1, at_rcpt=dict.fromkeys(busy, "450 4.2.1 busy"))
    return began


@pytest.mark.long
@pytest.mark.parametrize(
    ("jump", "at_last"),
    [
        pytest.param(2 * HOUR, 3 * HOUR, id="two hours ahead"),
        pytest.param(-2 * HOUR, HOUR, id="two hours back"),
        pytest.param(24 * HOUR, 25 * HOUR, id="a day ahead"),
    ],
)
async def test_the_databases_machine_changes_its_mind_about_the_time(make_stage, make_jumpy, jump, at_last):
    """One worker is killed in the jump, another goes on. At last it is an hour later by every account: what was put off
    or claimed in another time has its turn. A day in which nothing ran is not made up for."""
    database_url, jumps = make_jumpy
    stage = await make_stage(database_url=database_url, smtp_connections=str(CONNECTIONS))
    began = await spread(stage)
    first, _ = [await stage.worker(), await stage.worker()]

    async def some():
        return (await stage.states()).get("accepted", 0) >= 20

    await stage.until(some)
    jumps(jump)

    async def it_jumped():
        return abs((await stage.now() - began).total_seconds() - jump) < HOUR

    await stage.until(it_jumped)
    first.sends(signal.SIGKILL)

    async def nothing_is_under_way():
        under_way = (await stage.relay.ask("under_way"))["under_way"]
        return not under_way and (jump < 0 or dict(await stage.fetch(REMINDED)).get("prepared") == LATER)

    await stage.until(nothing_is_under_way)
    assert await stage.value(EARLY) == 0
    await stage.relay.ask(at_rcpt={})
    jumps(at_last)
    began_again = began + timedelta(seconds=at_last)

    async def it_is_later():
        return await stage.now() >= began_again

    await stage.until(it_is_later)
    await stage.leases_end()

    async def all_done():
        left = dict(await stage.fetch(REMINDED))
        asked = not await stage.value("SELECT count(*) FROM recovery WHERE wake_at <= $1", await stage.now())
        return asked and {"planned", "sending", "retry_wait"}.isdisjoint(left) and left["prepared"] == LATER

    await stage.until(all_done)
    await each_has_its_place(stage, jump)


async def each_has_its_place(stage, jump):
    """Nobody got anything twice or early, and who is not due yet still waits."""
    states = dict(await stage.fetch(REMINDED))
    print(states)
    copies = Counter(message for message, _, _ in (await stage.relay.ask("taken"))["taken"])
    assert set(copies.values()) == {1}
    assert sum(states.values()) == DUE + LATER
    assert set(states) <= {"prepared", "accepted", "unknown", *(["expired"] if jump >= DAY else [])}
    assert states["accepted"] >= 20
    assert states.get("unknown", 0) <= 2 * CONNECTIONS
    assert await stage.value(EARLY) == 0
    await stage.books_are_clean()


@pytest.mark.long
@pytest.mark.parametrize("jump", [2 * HOUR, -2 * HOUR, 24 * HOUR], ids=["ahead", "back", "a day ahead"])
async def test_the_workers_machine_changes_its_mind_about_the_time(make_stage, jumpy, jump):
    """It decides nothing: what is due leaves at once, what is not waits, and nothing is lost or expires."""
    words, jumps = jumpy
    stage = await make_stage(smtp_connections=str(CONNECTIONS))
    stage.nursery_words = words
    await stage.prepared(DUE + LATER)
    highest = await stage.value("SELECT id FROM message ORDER BY id LIMIT 1 OFFSET $1", LATER - 1)
    await stage.context.pool.execute(WHEN, await stage.now(), timedelta(hours=30), highest)
    await stage.relay.ask(delay=0.5)
    workers = [await stage.worker(), await stage.worker()]

    async def some():
        return (await stage.states()).get("accepted", 0) >= 20

    await stage.until(some)
    jumps(jump)

    async def all_due_left():
        return await stage.states() == {"accepted": DUE, "prepared": LATER}

    await stage.until(all_due_left)
    told = [json.loads(line) for worker in workers for line in worker.log.read_text().splitlines() if line[0] == "{"]
    spread = sorted(datetime.fromisoformat(one["timestamp"]) for one in told)
    assert spread[-1] - spread[0] > timedelta(hours=1), "their clock did jump"
    copies = Counter(message for message, _, _ in (await stage.relay.ask("taken"))["taken"])
    assert set(copies.values()) == {1}
    assert await stage.value(EARLY) == 0
    await stage.books_are_clean()
