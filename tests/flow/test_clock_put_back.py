"""The database server's clock runs hours ahead and is put back: nothing waits for it to be there again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.flow.vigil import Vigil
from daemon.store import allowances, instance, messages, shops, work
from daemon.store.allowances import Share

HOURS = timedelta(hours=5)
AHEAD = "clock_timestamp() + interval '5 hours'"
STAMPS = {
    "instance": ("alive_real", "worked_real"),
    "heartbeat": ("beat_real",),
    "work": ("lease_until_real", "rest_until_real", "last_good_real"),
    "message": ("retry_real", "lease_until_real", "reconcile_real"),
    "channel_rest": ("until_real",),
    "allowance": ("since_real", "next_real", "queue_real", "slowed_until_real"),
}
FURTHEST = " UNION ALL ".join(
    f"SELECT max({column} - clock_timestamp()) AS ahead, '{table}.{column}' AS name FROM {table}"
    for table, columns in STAMPS.items()
    for column in columns
)


async def as_if_ahead(town):
    """All that is stamped was stamped by a clock that ran five hours ahead, until a moment ago."""
    for table, columns in STAMPS.items():
        sets = ", ".join(f"{column} = {column} + interval '5 hours'" for column in columns)
        await town.context.pool.execute(f"UPDATE {table} SET {sets}")


async def beats(town, kind="worker"):
    await Vigil(town.context, kind, "1", lambda: 0).beat()


@pytest.fixture(autouse=True)
def beats_by_hand(monkeypatch):
    """The town's own heart does not beat in between, however long a test takes."""
    monkeypatch.setattr("daemon.run.BEAT", 3600.0)


@pytest.fixture
async def busy_town(make_town, make_buyer):
    """One mail that the relay put off, one that an allowance holds, one claimed, one unknown."""
    town = await make_town(smtp_domain_rates="slow.example=1/h", smtp_per_day=90)
    pool = town.context.pool
    for name in ("ada", "bob", "cid", "dan"):
        town.letters.refuse[f"{name}@example.org"] = "450 come again"
        await town.leaves_cart(f"cart of {name}", make_buyer(name), "red")
    await town.passes(hours=1, minutes=1)
    rows = await town.fetch("SELECT id FROM message ORDER BY id")
    assert await town.value("SELECT count(*) FROM message WHERE state = 'retry_wait'") == 4
    now = "clock_timestamp() + interval"
    for row, stamps in zip(
        rows,
        (
            "reason = reason",
            f"retry_real = {now} '1 hour', reason = 'held by the allowance of slow.example: 1/h'",
            f"state = 'sending', retry_real = NULL, lease_until_real = {now} '9 min'",
            f"state = 'unknown', retry_real = NULL, reconcile_real = {now} '23 hours'",
        ),
        strict=True,
    ):
        await pool.execute(f"UPDATE message SET {stamps} WHERE id = $1", row["id"])
    await pool.execute("UPDATE attempt SET outcome = NULL, closed_real = NULL WHERE message_id = $1", rows[2]["id"])
    return town


async def test_no_stamp_lies_further_ahead_than_before(busy_town, log):
    town, pool = busy_town, busy_town.context.pool
    await messages.rest_channel(pool, town.shop_id, "sms", "the account is closed")
    await pool.execute("UPDATE work SET holder = 'dead', lease_until_real = clock_timestamp() + interval '30 s' "
                       "WHERE name = 'poll'")  # fmt: skip
    await work.failed(pool, town.shop_id, "mailbox", "no answer")
    async with pool.acquire() as db, db.transaction():
        rows = await allowances.take(db, "email", ["domain slow.example"])
        line = rows["domain slow.example"]
        line.next_real, line.queue_real = line.at + timedelta(seconds=1), line.at + timedelta(hours=1)
        await allowances.settle(db, "email", [line])
        _, now = await allowances.lock_shares(db, "email", "relay")
        later = now + HOURS.total_seconds() + 3
        await allowances.set_shares(db, "email", "relay", {"dead": Share(9, hungry=True, until=later)})
    before = {row["name"]: row["ahead"] for row in await town.fetch(FURTHEST)}
    await as_if_ahead(town)
    assert any(row["ahead"] and row["ahead"] > HOURS for row in await town.fetch(FURTHEST))
    await beats(town)
    after = {row["name"]: row["ahead"] for row in await town.fetch(FURTHEST)}
    assert {name for name, ahead in after.items() if ahead and ahead > before[name] + timedelta(minutes=1)} == set()
    shares, at = await allowances.shares(pool, "email", "relay")
    assert all(one.until - at < 60 for one in shares.values())
    assert '"clock": "was put back"' in log.getvalue()
    told = log.getvalue().count("was put back")
    await beats(town)
    assert log.getvalue().count("was put back") == told  # once is enough


async def test_what_was_held_goes_on_at_once_and_nothing_goes_twice(busy_town):
    """What waited for the relay is tried when its time comes, not when the clock is there again."""
    town = busy_town
    town.letters.refuse.clear()
    await as_if_ahead(town)
    await beats(town)
    await town.context.pool.execute("UPDATE message SET retry_real = retry_real - interval '2 hours', "
                                    "lease_until_real = lease_until_real - interval '10 min'")  # fmt: skip
    await town.context.pool.execute("UPDATE work SET due_at = $1 WHERE name = 'sweep'", await town.now())
    town.context.bell.set()
    await town.settles()
    await town.passes(minutes=1)
    states = await town.fetch("SELECT state, count(*)::int AS n FROM message GROUP BY 1")
    assert {row["state"]: row["n"] for row in states} == {"accepted": 2, "unknown": 2}
    assert len({to for to, _ in town.letters.taken}) == len(town.letters.taken) == 2


async def test_a_look_at_the_shop_that_was_due_in_the_false_future_is_due_now(town):
    """Somebody is at it, so that the town's own worker does not look at once."""
    pool = town.context.pool
    held = "holder = 'somebody', lease_until_real = clock_timestamp() + interval '10 hours'"
    await pool.execute(f"UPDATE work SET due_at = $1, {held} WHERE name = 'poll'", await town.now() + HOURS)
    await pool.execute("UPDATE clock SET speed = 1, base_real = clock_timestamp()")
    await pool.execute(f"UPDATE instance SET alive_real = {AHEAD}")
    await beats(town, "web")
    assert await town.value("SELECT due_at FROM work WHERE name = 'poll'") < await town.now() + timedelta(minutes=1)


async def test_a_silence_of_the_false_future_was_none(town):
    """A clock a day ahead looks like a day without anybody. What is due after it was put back is not left out."""
    pool, now = town.context.pool, await town.now()
    await instance.stood_still(pool, "nothing ran for 30 hours", now + timedelta(hours=30), timedelta(hours=30))
    await pool.execute(f"UPDATE instance SET alive_real = {AHEAD}")
    await beats(town)
    assert await instance.standstills(pool, now - timedelta(days=9)) == []


async def test_a_web_process_that_is_gone_is_not_waited_for_until_the_clock_is_there_again(town):
    pool = town.context.pool
    await pool.execute("INSERT INTO heartbeat (process, kind, version, journal_lines, beat_real) "
                       f"VALUES ('gone', 'web', '1', 0, {AHEAD} - interval '1 hour')")  # fmt: skip
    back = await town.value(f"SELECT {AHEAD}")
    assert await shops.journals_waiting(pool, back) == 0


async def test_a_clock_that_is_slewed_by_a_second_is_left_alone(town, log):
    await town.context.pool.execute("UPDATE instance SET alive_real = clock_timestamp() + interval '1 second'")
    await beats(town)
    assert "put back" not in log.getvalue()
