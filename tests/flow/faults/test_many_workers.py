"""Many workers on one database: more go faster, none sends twice, and half of them may die."""

from __future__ import annotations

import pytest

from tests.flow.faults.hosts import (
    CONNECTIONS,
    LATER,
    Host,
    all_busy,
    are_there,
    goes_on_alone,
    leases_run_out,
    nothing_twice,
    rate,
    taken,
)


async def test_the_other_workers_go_on_when_half_of_them_die(make_stage):
    stage = await make_stage(smtp_connections=str(CONNECTIONS))
    await stage.prepared(400)
    await stage.relay.ask(delay=0.1)
    first, second = [Host([await stage.worker() for _ in range(2)]) for _ in range(2)]
    await all_busy(stage, first, second)
    first.dies()
    await goes_on_alone(stage, second)
    await leases_run_out(stage)
    await nothing_twice(stage, first)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_more_workers_do_more(make_stage):
    """The relay is slow, so that connections and not the cores bound it: nothing in the database holds workers up."""
    each, most = 50, 4
    stage = await make_stage(smtp_connections=str(CONNECTIONS))
    await stage.prepared((1 + 2 + most) * each)
    await stage.context.pool.execute(LATER)
    await stage.relay.ask(delay=0.5)
    rates = {}
    for count in (1, 2, most):
        while len(stage.born) < count:
            await stage.worker()
        await are_there(stage)
        rates[count] = await rate(stage, each * count)
    print({count: f"{found:.0f}/s" for count, found in rates.items()})
    assert len(set(await taken(stage))) == len(await taken(stage)) == (1 + 2 + most) * each
    assert rates[2] > 1.6 * rates[1]
    assert rates[most] > 2.4 * rates[1]
    await stage.no_deadlocks()
    await stage.books_are_clean()
