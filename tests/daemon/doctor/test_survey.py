"""What the doctor reads from a shop's rows."""

from __future__ import annotations

from datetime import timedelta

from daemon.shops.base import Customer
from daemon.store import survey

EVENTS = """
INSERT INTO inbox (shop_id, source, delivery_id, body, received_at, received_real, state, effect, done_at)
SELECT $1, 'push', n::text, '', now(), clock_timestamp() - n * interval '1 hour',
    CASE WHEN n = 3 THEN 'refused' ELSE 'done' END,
    CASE n WHEN 3 THEN 'no currency' WHEN 2 THEN 'order.placed: kept' ELSE 'cart.updated: kept' END, now()
FROM generate_series(1, 4) AS n
"""


async def test_events_are_counted_by_kind_with_the_age_of_the_last(town):
    await town.context.pool.execute(EVENTS, town.shop_id)
    found = {one.kind: one for one in await survey.pushed(town.context.pool, town.shop_id)}
    assert {kind: one.events for kind, one in found.items()} == {"cart.updated": 2, "order.placed": 1, "refused": 1}
    assert timedelta(hours=1) <= found["cart.updated"].ago < timedelta(hours=1, minutes=1)
    assert (found["refused"].refused, found["order.placed"].refused) == ("no currency", None)


async def test_carts_are_counted_by_who_could_be_written_to(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("ada"), "red")
    await town.leaves_cart("c2", Customer(ref="eve", email="eve@example.org"), "red")
    await town.leaves_cart("c3", Customer(), "red")
    await town.context.pool.execute(
        "UPDATE cart SET source_updated_at = changed_at + interval '2 hours', seen_at = changed_at, baseline = false"
    )
    seen = await survey.carts(town.context.pool, town.shop_id)
    assert (seen.carts, seen.nobody, seen.email, seen.phone, seen.consent) == (3, 1, 2, 0, 1)
    assert (seen.ahead, seen.slip, seen.dated) == (3, timedelta(hours=2), 3)


async def test_a_shop_without_orders_has_no_lateness(town):
    seen = await survey.lateness(town.context.pool, town.shop_id)
    assert (seen.orders, seen.late) == (0, timedelta(0))


async def test_what_comes_by_mail_or_from_a_provider_is_no_event_of_the_shop(town):
    await town.context.pool.execute(EVENTS, town.shop_id)
    await town.context.pool.execute(
        "INSERT INTO inbox (shop_id, source, delivery_id, body, received_at, state, effect, done_at) VALUES"
        " ($1, 'mail', 'a', '', now(), 'done', 'message 7 was delivered', now()),"
        " ($1, 'mail', 'b', '', now(), 'refused', 'a report with a return path is not believed', now()),"
        " ($1, 'channel sms', 'c', '', now(), 'done', 'message 8: delivered', now())",
        town.shop_id,
    )
    found = {one.kind: one.events for one in await survey.pushed(town.context.pool, town.shop_id)}
    assert found == {"cart.updated": 2, "order.placed": 1, "refused": 1}
