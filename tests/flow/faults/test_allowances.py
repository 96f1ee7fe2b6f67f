"""Allowances on real servers: two workers share a rate, a slow provider holds nobody else up."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from pathlib import Path

from daemon.flow import deliver

ROUNDS = 6
"""In which two workers that take fifteen each, one or both at a time, have looked at all."""
SLOW = "UPDATE person SET email = 'p' || id || '@slow.example' WHERE id % 2 = 0"
FIRST_PLACE = """
SELECT extract(epoch FROM base_real + (min(a.started_at) - base_shop))::float8
FROM clock, attempt a JOIN message m ON m.id = a.message_id JOIN person p ON p.id = m.person_id
WHERE p.email LIKE '%@slow.example' GROUP BY base_real, base_shop
"""
"""When the claim began that gave the first place in the line, or a little before."""
TOLD = """
SELECT count(*) - (SELECT count(*) FROM attempt a JOIN message m ON m.id = a.message_id
    WHERE m.recovery_id = d.recovery_id AND a.code = 'not_sent') AS times
FROM decision d WHERE because LIKE 'held by%' GROUP BY d.recovery_id
"""
"""How often each that was held was told of, but for those that a busy worker gave back, which are held anew."""


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


async def test_a_slow_provider_gets_its_rate_of_two_workers_and_holds_nobody_else_up(make_stage):
    """Each of its mails is put aside once, at no cost to it, and looked at again when its time comes."""
    rate = 5
    stage = await make_stage(smtp_domain_rates=f"slow.example={rate}/s", smtp_connections="10")
    await stage.prepared(60)
    await stage.context.pool.execute(SLOW)
    for _ in range(2):
        await stage.worker()
    accepted = (
        "SELECT count(*) FROM message m JOIN person p ON p.id = m.person_id WHERE state = 'accepted' AND p.email "
    )

    async def all_others_accepted():
        return await stage.value(accepted + "LIKE '%@example.org'") == 30

    await stage.until(all_others_accepted, within=60)
    assert await stage.value(accepted + "LIKE '%@slow.example'") < 30
    held = await stage.fetch("SELECT * FROM message WHERE state = 'prepared' AND retry_real IS NOT NULL")
    assert {row["reason"] for row in held} <= {f"held by the allowance of slow.example: {rate}/s"}
    assert {(row["deferrals"], row["tries"]) for row in held} <= {(0, 0)}

    async def all_accepted():
        return (await stage.states()).get("accepted") == 60

    await stage.until(all_accepted, within=60)
    taken = (await stage.relay.ask("taken"))["taken"]
    slow = sorted(at for _, address, at in taken if address.endswith("@slow.example"))
    began = await stage.value(FIRST_PLACE)
    print(f"fullest second {most_within(slow, 1.0)} of {rate}; whole {slow[-1] - slow[0]:.1f} s for {len(slow)}")
    early = [(place, at - began) for place, at in enumerate(slow) if at - began < place / rate]
    assert early == [], "a busy machine makes some of them late; before its place in the line none leaves"
    told = {row["times"] for row in await stage.fetch(TOLD)}
    assert 1 in told
    assert max(told) == 1
    await stage.books_are_clean()


async def test_a_new_sender_begins_with_few_whoever_claims(make_stage):
    """Two workers reach for fifty mails, a few at a time, on the first day and, a day later, for the rest."""
    warm_up = "warm_up: {first_day: 10, grows: 2, until: 1000}"
    stage = await make_stage(smtp_connections="50")
    shops = Path(stage.env["TILLBELL_RULES_DIR"]) / "shops.yaml"
    shops.write_text(shops.read_text().replace("    sender:\n", f"    sender:\n      {warm_up}\n"))
    assert stage.context.keeper.reload()
    await stage.prepared(50)
    both, now = [await stage.beside(2) for _ in range(2)], await stage.now()

    async def claimed():
        async with asyncio.TaskGroup() as at_once:
            tasks = [at_once.create_task(deliver.claim(one, stage.shop_id, "email", now, 15)) for one in both]
        return sum(len(task.result()[1]) for task in tasks)

    assert sum([await claimed() for _ in range(ROUNDS)]) == 10
    reasons = {row["reason"] for row in await stage.fetch("SELECT reason FROM message WHERE state = 'prepared'")}
    assert reasons == {"held by the warm-up of shop.example: at most 10 mails on day 1"}
    await stage.context.pool.execute("UPDATE allowance SET since_real = since_real - interval '1 day'")
    await stage.context.pool.execute("UPDATE message SET retry_real = NULL WHERE state = 'prepared'")
    assert sum([await claimed() for _ in range(ROUNDS)]) == 20
