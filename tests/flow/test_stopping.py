"""What ends a recovery, what makes it wait, and what does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from channels.base import Message, Outcome
from daemon.flow import outcomes
from daemon.shops.base import Customer
from daemon.store import persons, recoveries


async def follow_up(town, customer, ref="c1"):
    await town.leaves_cart(ref, customer, "red")
    await town.passes(hours=1)


async def test_a_basket_that_the_customer_empties_gets_no_second_mail(town, make_buyer):
    await follow_up(town, make_buyer("1"))
    await town.leaves_cart("c1", make_buyer("1"))
    await town.passes(days=3)
    assert await town.ends() == {"emptied": 1}
    assert len(town.letters.taken) == 1
    await town.books_are_clean()


@pytest.mark.parametrize(
    ("standing", "mails"),
    [
        pytest.param("pending", 3, id="a pending payment is no purchase"),
        pytest.param("failed", 3, id="a failed payment is no purchase"),
        pytest.param("on_hold", 1, id="an order on hold makes the mails wait"),
    ],
)
async def test_orders_that_are_no_purchase(town, make_buyer, standing, mails):
    await follow_up(town, make_buyer("1"))
    await town.buys("o1", make_buyer("1"), standing=standing)
    await town.passes(days=3)
    assert len(town.letters.taken) == mails
    assert await town.ends() == {"open": 1}


async def test_an_order_on_hold_that_is_paid_stops(town, make_buyer):
    await follow_up(town, make_buyer("1"))
    await town.buys("o1", make_buyer("1"), standing="on_hold")
    await town.passes(hours=30)
    await town.buys("o1", make_buyer("1"))
    assert await town.ends() == {"purchase": 1}


async def test_a_guest_who_buys_with_the_same_address_is_the_same_person(town, make_buyer):
    await follow_up(town, make_buyer("1", email="Ada@example.org"))
    await town.buys("o1", Customer(email="ada@EXAMPLE.org"))
    assert await town.ends() == {"purchase": 1}
    assert await town.value("SELECT count(*) FROM person") == 1


async def test_an_old_order_that_is_told_late_blocks_nobody_for_ever(town, make_buyer):
    await town.buys("o-old", make_buyer("1"), ago=timedelta(days=100))
    await follow_up(town, make_buyer("1"))
    assert len(town.letters.taken) == 1


async def test_a_recovery_always_ends(town, make_buyer):
    await follow_up(town, make_buyer("1"))
    await town.passes(days=10)
    assert await town.ends() == {"expired": 1}
    assert len(town.letters.taken) == 3
    await town.books_are_clean()


async def test_the_ladder_goes_on_and_does_not_start_over(town, make_buyer):
    await follow_up(town, make_buyer("1"))
    await town.passes(hours=22)
    await town.leaves_cart("c1", make_buyer("1"), "red", "blue")
    await town.passes(hours=2)
    assert len(town.letters.taken) == 1  # the cart has to rest again, and the second mail counts from its last change
    await town.passes(days=4)
    steps = await town.fetch("SELECT step FROM message ORDER BY id")
    assert [row["step"] for row in steps] == ["remind", "doubts", "last-call"]
    assert await town.value("SELECT count(*) FROM recovery") == 1


async def test_one_recovery_per_person_at_a_time(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.leaves_cart("c2", make_buyer("1"), "blue")
    await town.passes(hours=3)
    assert await town.value("SELECT count(*) FROM recovery") == 1
    assert len(town.letters.taken) == 1
    await town.books_are_clean()


async def test_a_second_recovery_only_after_the_cool_down(town, make_buyer):
    await follow_up(town, make_buyer("1"))
    await town.passes(days=10)
    await town.leaves_cart("c1", make_buyer("1"), "green")
    await town.passes(days=2)
    assert await town.value("SELECT max(episode) FROM recovery") == 1
    await town.passes(days=5)
    await town.leaves_cart("c1", make_buyer("1"), "green", "blue")
    await town.passes(hours=2)
    assert await town.value("SELECT max(episode) FROM recovery") == 2


async def test_unsubscribed_by_the_link_in_the_mail(town, make_buyer):
    await follow_up(town, make_buyer("1"))
    [mail] = town.letters.of("1@example.org")
    url = mail["List-Unsubscribe"].strip("<>")
    async with town.http.post(url, data={"List-Unsubscribe": "One-Click"}) as answer:
        assert answer.status == 200
    await town.passes(days=3)
    assert await town.ends() == {"unsubscribed": 1}
    assert len(town.letters.taken) == 1
    await town.leaves_cart("c2", make_buyer("1"), "red")  # the shop still says that she consented
    await town.passes(days=30)
    assert len(town.letters.taken) == 1
    await town.books_are_clean()


async def test_a_cart_without_anybody_has_its_reason(town):
    await town.leaves_cart("c1", Customer(), "red")
    await town.passes(hours=2)
    assert await town.value("SELECT answer FROM cart") == "no: there is nobody to write to"
    await town.books_are_clean()


async def test_an_address_that_the_relay_refuses_is_not_written_to_again(town, make_buyer):
    town.letters.refuse["1@example.org"] = "550 5.1.1 no such user"
    await follow_up(town, make_buyer("1"))
    await town.passes(days=3)
    assert await town.value("SELECT state FROM message ORDER BY id LIMIT 1") == "failed"
    assert await town.value("SELECT count(*) FROM suppression") == 1
    assert await town.value("SELECT count(*) FROM message") == 1
    await town.books_are_clean()


async def test_a_senders_fault_rests_the_channel_and_no_person(town, make_buyer):
    town.letters.refuse["1@example.org"] = "550 5.7.515 sender does not meet the requirements"
    await follow_up(town, make_buyer("1"))
    [message] = await town.fetch("SELECT state, tries FROM message")
    assert (message["state"], message["tries"]) == ("retry_wait", 0)
    assert await town.value("SELECT count(*) FROM suppression") == 0
    assert await town.value("SELECT channel FROM channel_rest") == "email"


async def test_a_wake_is_noticed_even_where_time_stands_still(town, make_buyer):
    """Whoever decides compares wake times: one that is woken twice at one instant must not look untouched."""
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    seen = set()
    async with town.context.pool.acquire() as db, db.transaction():
        [person] = await persons.lock(db, town.shop_id, [1])
        for _ in range(3):
            await recoveries.wake(db, town.shop_id, [person], await town.now())
            seen.add(await db.fetchval("SELECT wake_at FROM recovery"))
    assert len(seen) == 3
    assert max(seen) == await town.now()


async def test_a_shop_that_leaves_while_mails_are_on_the_wire_loses_no_outcome(town, make_buyer):
    await follow_up(town, make_buyer("1"))
    town.context.shop_ids.pop("main")
    shop_id = await town.value("SELECT shop_id FROM shop")
    await town.context.pool.execute(
        "UPDATE message SET state = 'sending', accepted_at = NULL, lease_until_real = now() + interval '1 h';"
        " UPDATE attempt SET outcome = NULL, closed_real = NULL"
    )
    [row] = await town.fetch("SELECT id, fence FROM message")
    message = Message(shop_id, row["id"], row["fence"], "", None)
    await outcomes.write(town.context, shop_id, "email", [(message, Outcome("accepted"))])
    assert await town.value("SELECT state FROM message") == "accepted"


@pytest.mark.parametrize(("cart_ref", "evidence"), [("c1", "same cart"), ("", "same person")])
async def test_a_purchase_that_slips_past_the_enrolment_is_linked_to_its_order(town, make_buyer, cart_ref, evidence):
    """Its order is committed after the enrolment has looked, and before it writes: only the rules see it."""
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(minutes=30)
    [person] = await town.fetch("SELECT id FROM person")
    await town.context.pool.execute(
        "INSERT INTO shop_order (shop_id, ref, cart_ref, person_id, placed_at, status, standing, total, currency, "
        "version, first_seen_at, seen_at) VALUES ($1, 'o1', $2, $3, $4::timestamptz - interval '2 hours', 'paid', "
        "'purchase', 10, 'EUR', 1, $4 + interval '31 minutes', $4)",
        town.shop_id, cart_ref, person["id"], await town.now(),
    )  # fmt: skip
    await town.passes(hours=2)
    [ended] = await town.fetch("SELECT end_reason, order_id IS NOT NULL AS linked, evidence FROM recovery")
    assert tuple(ended) == ("purchase", True, evidence)
    assert town.letters.taken == []
    await town.books_are_clean()
