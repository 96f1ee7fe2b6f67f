"""Many workers on one database: more go faster, none sends twice, and half of them may die."""

from __future__ import annotations

import pytest

from tests.flow.faults.hosts import (
    CONNECTIONS,
    LATER,
    TRIES,
    Host,
    are_there,
    each_has_its_hands_full,
    faster,
    goes_on_alone,
    leases_run_out,
    nothing_twice,
    rate,
    taken,
)


async def test_the_other_workers_go_on_when_half_of_them_die(make_stage):
    stage = await make_stage(smtp_connections=str(CONNECTIONS))
    await stage.prepared(400)
    await stage.context.pool.execute(LATER)
    first, second = [Host([await stage.worker() for _ in range(2)]) for _ in range(2)]
    await are_there(stage)
    await each_has_its_hands_full(stage, 400)
    first.dies()
    await stage.relay.ask(hold=False)
    await goes_on_alone(stage, second)
    await leases_run_out(stage)
    await nothing_twice(stage, first)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_more_workers_do_more(make_stage):
    """The relay is slow, so that connections and not the cores bound it: nothing in the database holds workers up."""
    each, most = 50, 4
    stage = await make_stage(smtp_connections=str(CONNECTIONS))
    await stage.prepared((1 + (2 + most) * TRIES) * each)
    await stage.context.pool.execute(LATER)
    await stage.relay.ask(delay=0.5)
    await stage.worker()
    await are_there(stage)
    alone = await rate(stage, each)
    rates = {}
    for count, times in ((2, 1.6), (most, 2.4)):
        while len(stage.born) < count:
            await stage.worker()
        await are_there(stage)
        rates[count] = await faster(stage, each * count, times * alone)
    print({count: f"{found:.0f}/s" for count, found in {1: alone, **rates}.items()})
    assert len(set(await taken(stage))) == len(await taken(stage))
    assert rates[2] > 1.6 * alone
    assert rates[most] > 2.4 * alone
    await stage.no_deadlocks()
    await stage.books_are_clean()
