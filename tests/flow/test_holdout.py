"""Held-out people go the whole way as a shadow: decided alike, stopped alike, written to never."""

from __future__ import annotations

from datetime import timedelta

from daemon.house import seeded
from daemon.store import report
from rules.effect import effect


async def test_shadows_climb_the_ladder_and_get_nothing(make_town, make_buyer):
    town = await make_town(holdout="50%")
    town.context.chance = seeded("what forty people draw")
    for number in range(40):
        await town.leaves_cart(f"c{number}", make_buyer(str(number)), "red")
    await town.passes(hours=25)
    held_out = await town.value("SELECT count(*) FROM recovery WHERE held_out")
    assert 8 <= held_out <= 32
    states = await town.fetch(
        "SELECT r.held_out, m.step, m.state, count(*) AS n FROM message m JOIN recovery r ON r.id = m.recovery_id"
        " GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    assert [(row["held_out"], row["step"], row["state"], row["n"]) for row in states] == [
        (False, "doubts", "accepted", 40 - held_out),
        (False, "remind", "accepted", 40 - held_out),
        (True, "doubts", "withheld", held_out),
        (True, "remind", "withheld", held_out),
    ]
    assert len(town.letters.taken) == 2 * (40 - held_out)

    for number in range(10):
        await town.buys(f"o{number}", make_buyer(str(number)))
    assert (await town.ends())["purchase"] == 10
    figures = await report.figures(town.context.pool, town.shop_id, await town.now() - timedelta(days=9), timedelta(7))
    seen = effect(figures.outcomes)
    assert seen.treated.recoveries + seen.held_out.recoveries == 40
    assert seen.treated.recovered + seen.held_out.recovered == 10
    await town.books_are_clean()


async def test_treated_and_held_out_that_become_one_leave_the_comparison(make_town, make_buyer):
    town = await make_town(holdout="50%")
    await town.leaves_cart("c1", make_buyer("", email="ada@example.org"), "red")
    await town.leaves_cart("c2", make_buyer("7", email=""), "red")
    await town.context.pool.execute(
        "UPDATE person SET split_key = CASE WHEN customer_ref IS NULL THEN 0.1 ELSE 0.9 END"
    )
    await town.passes(hours=2)
    await town.leaves_cart("c2", make_buyer("7", email="Ada@example.org"), "red", "blue")
    assert await town.value("SELECT count(*) FROM person WHERE merged_into IS NOT NULL") == 1
    assert await town.value("SELECT bool_and(crossed) FROM recovery")
    figures = await report.figures(town.context.pool, town.shop_id, await town.now() - timedelta(days=9), timedelta(7))
    assert effect(figures.outcomes).crossed == await town.value("SELECT count(*) FROM recovery")
    await town.books_are_clean()


async def test_an_old_order_that_is_told_late_is_no_recovery(make_town, make_buyer):
    town = await make_town()
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    await town.buys("o-old", make_buyer("1"), ago=timedelta(days=100))
    figures = await report.figures(town.context.pool, town.shop_id, await town.now() - timedelta(days=9), timedelta(7))
    assert [one.recovered for one in figures.outcomes] == [False]
