"""Between the plan and the relay: products read afresh, hours, the brake, and facts that changed meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

from daemon.flow import deliver
from daemon.mail.packed import unpacked
from daemon.shops.base import Product
from daemon.store import brake
from daemon.store.brake import Scope

QUIET = """
extends: default
starts: {rests_for: 1h}
quiet: 21:00-08:00
"""
SOON = """
extends: default
starts: {rests_for: 1h}
caps: {same_channel_gap: 1m}
steps: [{name: remind, after: 1h}, {name: doubts, after: 2h}, {name: last-call, after: 3h}]
"""


def wares(**in_stock):
    return {
        ref: Product(
            ref, f"Schuh {ref}", active=True, in_stock=there, price=Decimal("49.90"), url="https://shop.example/p"
        )
        for ref, there in in_stock.items()
    }


async def test_what_is_sold_out_is_said_and_what_is_gone_is_left_out(town, make_basket, make_buyer):
    shop = await town.polls()
    shop.sells = wares(red=True, blue=False)
    await town.passes(minutes=5)
    shop.shows = {"c1": make_basket("c1", make_buyer("1"), "red", "blue", "green")}
    await town.passes(hours=2)
    [mail] = town.letters.of("1@example.org")
    text = mail.get_body(("plain",)).get_content()
    assert "Schuh red" in text
    assert "Schuh green" not in text
    assert "ausverkauft" in text.lower()


async def test_with_nothing_left_to_buy_the_recovery_is_over(town, make_basket, make_buyer):
    shop = await town.polls()
    shop.sells = wares(blue=True)
    await town.passes(minutes=5)
    shop.shows = {"c1": make_basket("c1", make_buyer("1"), "red")}
    await town.passes(hours=2)
    assert town.letters.taken == []
    assert await town.ends() == {"nothing_left": 1}
    await town.books_are_clean()


async def test_no_mail_at_night_where_the_person_lives(make_town, make_buyer):
    town = await make_town(policies={"main": QUIET})
    await town.passes(hours=10, minutes=30)  # 20:30 in Berlin
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.leaves_cart("c2", make_buyer("2", zone="America/New_York"), "red")
    await town.passes(hours=4)
    assert [to for to, _ in town.letters.taken] == ["2@example.org"]
    await town.passes(hours=8)
    assert [to for to, _ in town.letters.taken] == ["2@example.org", "1@example.org"]
    accepted = await town.value("SELECT max(accepted_at) FROM message")
    assert (accepted.hour, accepted.minute) == (7, 0)  # 8:00 in Berlin


async def test_the_brake_holds_and_nothing_is_lost(town, make_buyer):
    await brake.pause(town.context.pool, [town.shop_id], Scope(), "a wrong price", await town.now(), None)
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    assert town.letters.taken == []
    assert await town.value("SELECT reason FROM message") == "paused: a wrong price"
    await brake.resume(town.context.pool, [town.shop_id], Scope(), await town.now())
    await town.passes(minutes=2)
    assert len(town.letters.taken) == 1


async def test_a_pause_of_one_step_stops_only_that(make_town, make_buyer):
    town = await make_town(policies={"main": SOON})
    await brake.pause(town.context.pool, [town.shop_id], Scope(step="doubts"), "new text", await town.now(), None)
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=4)
    steps = await town.fetch("SELECT step, state FROM message ORDER BY id")
    assert [(row["step"], row["state"]) for row in steps] == [
        ("remind", "accepted"),
        ("doubts", "expired"),
        ("last-call", "accepted"),
    ]
    await town.books_are_clean()


async def test_a_message_decided_on_older_facts_is_made_anew(town, make_buyer):
    await brake.pause(town.context.pool, [town.shop_id], Scope(), "wait", await town.now(), None)
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=1)
    await town.leaves_cart("c1", make_buyer("1", first_name="Ada"), "red", price="39.90")
    await brake.resume(town.context.pool, [town.shop_id], Scope(), await town.now())
    await town.passes(hours=2)
    [mail] = town.letters.of("1@example.org")
    assert "39,90" in mail.get_body(("plain",)).get_content()


async def test_after_a_stop_of_two_days_one_step_goes_out_at_once_and_no_other(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("1"), "red")
    town.context.stopping.set()  # nobody works while time goes by
    await town.settles()
    await town.context.pool.execute("UPDATE clock SET base_shop = base_shop + interval '50 hours'")
    town.context.stopping.clear()
    await town.passes(minutes=1)
    at_once = len(town.letters.taken)
    await town.passes(days=2)
    steps = [row["step"] for row in await town.fetch("SELECT step FROM message WHERE state = 'accepted' ORDER BY id")]
    assert (at_once, steps) == (1, ["last-call"])
    await town.books_are_clean()


async def test_a_removed_step_is_cancelled_at_the_gate(town, make_buyer):
    await brake.pause(town.context.pool, [town.shop_id], Scope(), "wait", await town.now(), None)
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=1)
    rules = town.context.settings.rules_dir / "main.yaml"
    rules.write_text("extends: default\nstarts: {rests_for: 1h}\nwithout: [remind]\n")
    from daemon.run import reload

    await reload(town.context)
    await brake.resume(town.context.pool, [town.shop_id], Scope(), await town.now())
    await town.passes(minutes=2)
    [message] = await town.fetch("SELECT state, reason FROM message")
    assert (message["state"], message["reason"]) == ("cancelled", "rule_removed")
    assert town.letters.taken == []


async def test_while_the_shop_is_silent_messages_wait_and_then_go(town, make_basket, make_buyer):
    shop = await town.polls()
    await town.passes(minutes=5)
    shop.shows = {"c1": make_basket("c1", make_buyer("1"), "red")}
    await town.passes(minutes=50)
    shop.silent = True
    await town.passes(minutes=40)
    assert town.letters.taken == []
    assert await town.value("SELECT problem FROM work WHERE name = 'deliver'")
    shop.silent = False
    await town.context.pool.execute("UPDATE work SET rest_until_real = NULL")
    await town.passes(minutes=15)
    assert len(town.letters.taken) == 1
    assert await town.value("SELECT problem FROM work WHERE name = 'deliver'") is None


async def test_claims_wait_for_opt_outs_on_the_disk_of_a_web_process(town, make_buyer):
    beat = "INSERT INTO heartbeat VALUES ('other', 'web', '1', $1, clock_timestamp()) ON CONFLICT (process)"
    beat += " DO UPDATE SET journal_lines = $1, beat_real = clock_timestamp()"
    await town.context.pool.execute(beat, 3)
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.context.pool.execute("UPDATE clock SET base_shop = base_shop + interval '61 minutes'")
    town.context.bell.set()
    async with asyncio.timeout(60):
        while await town.value("SELECT state FROM message") != "prepared":
            await asyncio.sleep(0.02)
    assert town.letters.taken == []
    await town.context.pool.execute(beat, 0)
    await town.settles()
    assert len(town.letters.taken) == 1


async def test_when_all_is_sold_out_the_recovery_is_over(town, make_basket, make_buyer):
    shop = await town.polls()
    shop.sells = wares(red=False, blue=False)
    await town.passes(minutes=5)
    shop.shows = {"c1": make_basket("c1", make_buyer("1"), "red", "blue")}
    await town.passes(hours=2)
    assert town.letters.taken == []
    assert await town.ends() == {"nothing_left": 1}


async def test_a_long_pause_costs_a_message_nothing(town, make_buyer):
    await brake.pause(town.context.pool, [town.shop_id], Scope(), "a wrong price", await town.now(), None)
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=3)
    assert await town.value("SELECT deferrals FROM message") == 0
    assert await town.value("SELECT count(*) FROM decision WHERE because LIKE 'paused%'") == 1
    wrote = await town.value("SELECT xmin::text FROM message")
    await town.passes(hours=3)
    assert await town.value("SELECT xmin::text FROM message") == wrote  # its row is written once, not each minute
    await brake.resume(town.context.pool, [town.shop_id], Scope(), await town.now())
    await town.passes(minutes=2)
    assert len(town.letters.taken) == 1


async def test_a_cart_that_changes_before_the_mail_has_left_starts_its_hours_anew(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=23, minutes=30)
    await brake.pause(town.context.pool, [town.shop_id], Scope(), "wait", await town.now(), None)
    await town.passes(hours=1)  # the second one is prepared and held
    await town.leaves_cart("c1", make_buyer("1"), "red", "blue")
    await brake.resume(town.context.pool, [town.shop_id], Scope(), await town.now())
    await town.passes(hours=23)
    assert len(town.letters.taken) == 1
    await town.passes(hours=2)
    assert len(town.letters.taken) == 2


async def test_only_whom_the_shop_was_asked_about_may_pass(town, make_basket, make_buyer):
    """What becomes ready while the shop is being asked waits for the next look."""
    shop = await town.polls()
    await town.passes(minutes=5)
    shop.shows = {name: make_basket(name, make_buyer(name), "red") for name in ("c1", "c2")}
    await brake.pause(town.context.pool, [town.shop_id], Scope(), "wait", await town.now(), None)
    await town.passes(minutes=80)
    town.context.stopping.set()  # from here on nobody but the test claims
    now = await town.now()
    await brake.resume(town.context.pool, [town.shop_id], Scope(), now)
    assert await brake.free(town.context.pool, town.shop_id, now) == 2
    await town.context.pool.execute("UPDATE message SET not_before = $1", now + timedelta(minutes=5))
    await town.context.pool.execute("UPDATE message SET not_before = $1 WHERE id = 1", now)
    asked = shop.find_orders

    async def slowly(*question):
        await town.context.pool.execute("UPDATE message SET not_before = $1 WHERE id = 2", now)
        return await asked(*question)

    shop.find_orders = slowly
    _, claims = await deliver.claim(town.context, town.shop_id, "email", now, 10)
    assert [one.id for one, _ in claims] == [1]
    _, claims = await deliver.claim(town.context, town.shop_id, "email", now, 10)
    assert [one.id for one, _ in claims] == [2]


async def test_a_mail_that_was_made_before_texts_were_packed_leaves_as_it_was_written(town, make_buyer):
    await brake.pause(town.context.pool, [town.shop_id], Scope(), "a moment", await town.now(), None)
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=1, minutes=1)
    [row] = await town.fetch("SELECT content, letter FROM message")
    texts = unpacked(row["letter"])
    assert not set(texts) & set(row["content"])
    await town.context.pool.execute("UPDATE message SET content = content || $1, letter = NULL", texts)
    await brake.resume(town.context.pool, [town.shop_id], Scope(), await town.now())
    await town.passes(minutes=2)
    [mail] = town.letters.of("1@example.org")
    for part, kind in (("html", "html"), ("text", "plain")):
        assert mail.get_body((kind,)).get_content().split() == texts[part].split()


async def test_one_mail_that_cannot_be_made_leaves_no_other_claimed(town, make_buyer):
    await brake.pause(town.context.pool, [town.shop_id], Scope(), "a moment", await town.now(), None)
    for name in ("1", "2", "3"):
        await town.leaves_cart(f"c{name}", make_buyer(name), "red")
    await town.passes(hours=1, minutes=1)
    await town.context.pool.execute(
        "UPDATE message SET content = content - 'subject' WHERE person_id = (SELECT min(person_id) FROM message)"
    )
    await brake.resume(town.context.pool, [town.shop_id], Scope(), await town.now())
    await town.passes(minutes=2)
    states = [row["state"] for row in await town.fetch("SELECT state FROM message ORDER BY person_id")]
    assert states == ["retry_wait", "accepted", "accepted"]
