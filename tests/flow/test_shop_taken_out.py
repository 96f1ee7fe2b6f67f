"""A shop that is taken out of shops.yaml: what was claimed gets its end, nothing new begins, and somebody is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from daemon.doctor.signs import QUESTIONS
from daemon.store import books, clock
from tests.daemon.conftest import beside, own_logging
from tests.flow.test_unknown_texts import leave_carts, states
from tests.flow.test_unknown_texts import town as texting

__all__ = ["beside", "own_logging", "texting"]

LEFT = "shop main has 1 open recovery and is no longer in shops.yaml"


async def takes_out(town):
    """shops.yaml serves another shop from now on; the shop's id and its words."""
    path = town.context.settings.rules_dir / "shops.yaml"
    words, shop_id = path.read_text(), town.shop_id
    path.write_text(words.replace("  main:", "  other:"))
    await serves(town, "other")
    return shop_id, words


async def puts_back(town, words):
    (town.context.settings.rules_dir / "shops.yaml").write_text(words)
    await serves(town, "main")


async def serves(town, name):
    """Until the daemon has taken over what shops.yaml says."""
    async with asyncio.timeout(60):
        while list(town.context.shop_ids) != [name] or name in town.context.former or not town.context.former:
            await asyncio.sleep(0.01)
    await town.settles()


async def sweeps(town, shop_id):
    """Until the bell has had the shop swept once more."""
    await town.context.pool.execute("UPDATE work SET due_at = $1 WHERE name = 'sweep'", await town.now())
    async with asyncio.timeout(60):
        while not await town.value(
            "SELECT due_at > $2 AND holder IS NULL FROM work WHERE shop_id = $1 AND name = 'sweep'",
            shop_id, await town.now(),
        ):  # fmt: skip
            town.context.bell.set()
            await asyncio.sleep(0.01)


async def amiss(town):
    found = [one for question in QUESTIONS for one in await question.ask(town.context, await town.now())]
    return [str(one) for one in found if one.about in ("left", "lease", "books", "bell")]


@pytest.fixture
async def half_way(make_town, make_buyer):
    """The reminder has left, the second mail was claimed by a worker that was killed, and its shop is taken out."""
    town = await make_town()
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=1)
    town.letters.refuse["1@example.org"] = "450 come again"
    await town.passes(hours=23)
    assert await town.value("SELECT state FROM message WHERE step = 'doubts'") == "retry_wait"
    return town


async def claimed_and_lost(town):
    await town.context.pool.execute(
        """WITH m AS (UPDATE message SET state = 'sending', fence = nextval('fence'), sending_at = $1,
            retry_real = NULL, lease_until_real = clock_timestamp() - interval '3 minutes'
            WHERE step = 'doubts' RETURNING *)
        INSERT INTO attempt (shop_id, message_id, fence, started_at) SELECT shop_id, id, fence, $1 FROM m""",
        await town.now(),
    )


async def test_what_was_claimed_gets_its_end_and_somebody_is_told(half_way, beside):
    town = half_way
    shop_id, _ = await takes_out(town)
    await claimed_and_lost(town)
    assert any("claimed by a worker that is gone" in one for one in await amiss(town))
    await sweeps(town, shop_id)
    assert await town.value("SELECT state FROM message WHERE step = 'doubts'") == "unknown"
    assert await amiss(town) == [f"{LEFT}; put it back, or end them: `tillbell shop close main`"]
    status = await beside(town)("status")
    assert status.code == 1
    assert LEFT in status.out
    assert LEFT in (await beside(town)("doctor", "--offline")).out


async def test_a_hit_still_proves_that_a_mail_had_arrived(half_way, links_of):
    town = half_way
    await claimed_and_lost(town)
    shop_id, _ = await takes_out(town)
    await sweeps(town, shop_id)
    await town.context.pool.execute("UPDATE message SET state = 'unknown', reconcile_real = clock_timestamp(), "
                                    "accepted_at = NULL WHERE step = 'remind'")  # fmt: skip
    [mail] = town.letters.of("1@example.org")
    async with town.http.get(f"{town.public}/o/{links_of(mail)['o'][0]}.gif") as answer:
        assert answer.status == 200
    async with asyncio.timeout(60):
        while await town.value("SELECT state FROM message WHERE step = 'remind'") != "accepted":
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("served_it", "state"),
    [pytest.param(True, "accepted", id="by who served it"), pytest.param(False, "unknown", id="by who never did")],
)
async def test_a_text_of_unknown_fate_is_still_looked_up(texting, twilio, make_buyer, served_it, state):
    town = texting
    twilio.moods.append("garbage")
    await leave_carts(town, make_buyer, 1)
    await town.passes(hours=2)
    assert await states(town) == {"unknown": 1}
    await takes_out(town)
    if not served_it:
        town.context.words.clear()
    await town.context.pool.execute("UPDATE attempt SET closed_real = closed_real - interval '31 s'")
    town.context.bell.set()
    async with asyncio.timeout(60):
        while await town.value("SELECT state = 'unknown' AND looked_up_real IS NULL FROM message"):
            await asyncio.sleep(0.01)
    assert await states(town) == {state: 1}
    assert len(twilio.posts) == 1


async def test_nothing_new_is_planned_or_claimed(half_way):
    town = half_way
    town.letters.refuse.clear()
    shop_id, _ = await takes_out(town)
    await town.context.pool.execute("UPDATE message SET retry_real = NULL WHERE step = 'doubts'")
    await town.context.pool.execute("UPDATE recovery SET wake_at = $1", await town.now())
    decided = await town.value("SELECT count(*) FROM decision")
    for _ in range(3):
        await sweeps(town, shop_id)
    assert len(town.letters.taken) == 1
    assert await town.value("SELECT count(*) FROM decision") == decided
    later = await town.now() + timedelta(hours=1)
    assert [one.kind for one in await books.violations(town.context.pool, later)] == []


async def test_when_it_comes_back_everything_goes_on(half_way):
    town = half_way
    town.letters.refuse.clear()
    _, words = await takes_out(town)
    await puts_back(town, words)
    assert await town.value("SELECT left_at IS NULL FROM shop WHERE name = 'main'")
    await town.context.pool.execute("UPDATE message SET retry_real = NULL WHERE step = 'doubts'")
    await town.settles()
    await town.passes(minutes=5)
    await clock.set_clock(town.context.pool, await town.now() + timedelta(hours=24), Decimal(0))
    town.context.bell.set()
    await town.settles()
    rows = await town.fetch("SELECT step FROM message WHERE state = 'accepted' ORDER BY id")
    assert [row["step"] for row in rows] == ["remind", "doubts", "last-call"]
    assert await amiss(town) == []


async def test_steps_that_were_due_meanwhile_are_over_when_it_comes_back(half_way):
    town = half_way
    town.letters.refuse.clear()
    _, words = await takes_out(town)
    await clock.set_clock(town.context.pool, await town.now() + timedelta(hours=24), Decimal(0))
    await puts_back(town, words)
    await town.passes(minutes=5)
    rows = {row["step"]: row["state"] for row in await town.fetch("SELECT step, state FROM message")}
    assert rows == {"remind": "accepted", "doubts": "expired", "last-call": "accepted"}
    await town.books_are_clean()


async def test_one_that_will_not_come_back_is_closed(half_way, beside):
    town = half_way
    command = beside(town)
    with pytest.raises(Exception, match=r"is in shops\.yaml: take it out first"):
        await command("shop", "close", "main")
    await takes_out(town)
    assert "ended 1 recovery of shop main" in (await command("shop", "close", "main")).out
    assert await town.ends() == {"shop_closed": 1}
    assert await town.value("SELECT state FROM message WHERE step = 'doubts'") == "cancelled"
    assert await amiss(town) == []
    assert "its shop was closed" in (await command("why", "c1")).out
