"""Allowances on real servers: two workers share a rate, a slow provider holds nobody else up."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

SLOW = "UPDATE person SET email = 'p' || id || '@slow.example' WHERE id % 2 = 0"


def most_within(instants, span):
    """The fullest window: how many of these instants lie within any span that is shorter than `span`."""
    instants = sorted(instants)
    return max((place - bisect_right(instants, at - span) + 1 for place, at in enumerate(instants)), default=0)


async def test_two_workers_share_a_rate_and_never_exceed_it(make_stage):
    rate, mails = 60, 180
    stage = await make_stage(smtp_rate=f"{rate}/s", smtp_connections="10")
    await stage.prepared(mails)
    for _ in range(2):
        await stage.worker()

    async def all_accepted():
        return (await stage.states()).get("accepted") == mails

    await stage.until(all_accepted, within=60)
    taken = (await stage.relay.ask("taken"))["taken"]
    instants = sorted(at for _, _, at in taken)
    print(f"fullest second {most_within(instants, 1.0)} of {rate}; {mails} mails in {instants[-1] - instants[0]:.2f} s")
    assert len({address for _, address, _ in taken}) == len(taken) == mails
    assert most_within(instants, 1.0) <= rate
    assert await stage.value("SELECT max(tries) FROM message") == 1
    assert await stage.value("SELECT max(deferrals) FROM message") == 0
    await stage.no_deadlocks()
    await stage.books_are_clean()


async def test_a_slow_provider_holds_nobody_else_up(make_stage):
    """Each of its mails is put aside once, at no cost to it, and looked at again when its time comes."""
    stage = await make_stage(smtp_domain_rates="slow.example=10/s", smtp_connections="10")
    await stage.prepared(60)
    await stage.context.pool.execute(SLOW)
    await stage.worker()
    accepted = (
        "SELECT count(*) FROM message m JOIN person p ON p.id = m.person_id WHERE state = 'accepted' AND p.email "
    )

    async def all_others_accepted():
        return await stage.value(accepted + "LIKE '%@example.org'") == 30

    await stage.until(all_others_accepted, within=60)
    assert await stage.value(accepted + "LIKE '%@slow.example'") < 30
    held = await stage.fetch("SELECT * FROM message WHERE state = 'prepared' AND retry_real IS NOT NULL")
    assert {row["reason"] for row in held} <= {"held by the allowance of slow.example: 10/s"}
    assert {(row["deferrals"], row["tries"]) for row in held} <= {(0, 0)}

    async def all_accepted():
        return (await stage.states()).get("accepted") == 60

    await stage.until(all_accepted, within=60)
    taken = (await stage.relay.ask("taken"))["taken"]
    slow = sorted(at for _, address, at in taken if address.endswith("@slow.example"))
    print(f"fullest second {most_within(slow, 1.0)} of 10; whole {slow[-1] - slow[0]:.1f} s for {len(slow)}")
    assert slow[-1] - slow[0] >= 0.95 * (len(slow) - 1) / 10
    assert all(after >= before for before, after in pairwise(slow))
    told = await stage.value(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM decision WHERE because LIKE 'held by%' "
        "GROUP BY recovery_id) AS t"
    )
    assert told == 1
    await stage.books_are_clean()
