"""What a relay says of single recipients, again and again: who is tried how often, and who is given up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from daemon.flow import deliver, stop

MOST_TRIES = 12
SAYINGS = [
    # where, what, what becomes of it, whether the address is never written to again
    pytest.param("at_rcpt", "450 4.2.0 greylisted", "expired", False, id="greylisted for ever"),
    pytest.param("at_rcpt", "451 4.7.1 come later", "expired", False, id="put off for ever"),
    pytest.param("at_rcpt", "452 4.2.2 over quota", "expired", False, id="mailbox full, says 452"),
    pytest.param("at_dot", "451 4.3.0 disk full", "expired", False, id="put off after the mail"),
    pytest.param("at_rcpt", "550 5.7.1 not from you", "expired", False, id="a policy of its own"),
    pytest.param("at_dot", "554 5.7.1 looks like spam", "expired", False, id="a filter of its own"),
    pytest.param("at_rcpt", "550 5.1.1 no such user", "failed", True, id="nobody lives there"),
    pytest.param("at_rcpt", "550 5.2.2 mailbox full", "failed", False, id="mailbox full, for good"),
    pytest.param("at_rcpt", "551 not here", "failed", False, id="not local"),
    pytest.param("at_dot", "554 5.6.0 cannot read that", "failed", False, id="does not like the mail"),
]
LEFT = """
SELECT m.state, m.tries, extract(epoch FROM m.retry_real - a.closed_real)::float AS again
FROM message m LEFT JOIN attempt a ON a.message_id = m.id AND a.fence = m.fence WHERE m.id = $1
"""
"""`again`: seconds from when the answer was recorded."""
SAME = 5
"""Seconds: one statement asks twice what time it is."""


async def once(stage):
    """Whatever waits is tried, its time come or not."""
    await stage.context.pool.execute("UPDATE message SET retry_real = NULL WHERE state = 'retry_wait'")
    await what_is_due(stage)


async def what_is_due(stage):
    await deliver.due_messages(stage.context, stage.shop_id, await stage.now())

    async def recorded():
        return not await stage.value("SELECT count(*) FROM message WHERE state = 'sending'")

    await stage.until(recorded)


async def message_to(stage, address):
    return await stage.value(
        "SELECT m.id FROM message m JOIN person p ON p.shop_id = m.shop_id AND p.id = m.person_id WHERE p.email = $1",
        address,
    )


@pytest.fixture(scope="module")
def told():
    """The tests of one table share what one run has shown."""
    return {}


@pytest.fixture
async def outcomes(make_stage, told):
    """Each saying has its recipient, a dozen others get their mail. There are more rounds than tries."""
    if told:
        return told
    stage = await make_stage(smtp_connections="12")
    await stage.prepared(len(SAYINGS) + 12)
    words = {"at_rcpt": {}, "at_dot": {}}
    for number, saying in enumerate(SAYINGS):
        words[saying.values[0]][f"p{number}@example.org"] = saying.values[1]
    await stage.relay.ask(**words)
    ids = [await message_to(stage, f"p{number}@example.org") for number in range(len(SAYINGS))]
    waits = [[] for _ in SAYINGS]
    for _ in range(MOST_TRIES + 2):
        await once(stage)
        for number, message in enumerate(ids):
            [row] = await stage.fetch(LEFT, message)
            if row["state"] == "retry_wait":
                waits[number].append(row["again"])
    suppressed = await stage.fetch(
        "SELECT p.email FROM suppression s JOIN person p ON p.shop_id = s.shop_id AND p.email_hmac = s.address_hmac"
    )
    told["suppressed"] = {row["email"] for row in suppressed}
    told["rests"] = await stage.value("SELECT count(*) FROM channel_rest")
    told["states"] = await stage.states()
    for number, message in enumerate(ids):
        [row] = await stage.fetch(LEFT, message)
        told[SAYINGS[number].values[1]] = (row["state"], row["tries"], waits[number], f"p{number}@example.org")
    await stage.books_are_clean()
    return told


@pytest.mark.parametrize(("where", "says", "state", "never_again"), SAYINGS)
async def test_one_recipient(outcomes, where, says, state, never_again):
    became, tries, waits, address = outcomes[says]
    assert became == state
    assert tries == (MOST_TRIES if state == "expired" else 1)
    assert (address in outcomes["suppressed"]) is never_again
    if "5.7." in says:
        assert all(abs(wait - 3600) < SAME for wait in waits), "a policy is asked again each hour"
    elif state == "expired":
        ceilings = [min(3600, 60 * 2**number) for number in range(MOST_TRIES - 1)]
        assert len(waits) == len(ceilings)
        assert all(0.75 * top - SAME < wait < top + SAME for wait, top in zip(waits, ceilings, strict=True)), waits


async def test_nobody_else_suffers(outcomes):
    assert outcomes["rests"] == 0
    assert outcomes["states"]["accepted"] == 12
    assert sum(outcomes["states"].values()) == len(SAYINGS) + 12


async def test_greylisting_ends_with_the_mail_taken_once(make_stage):
    stage = await make_stage()
    await stage.prepared(3)
    await stage.relay.ask(at_rcpt={"*": "450 4.2.0 greylisted"})
    await once(stage)
    await once(stage)
    await stage.relay.ask(at_rcpt={})
    await once(stage)
    assert await stage.states() == {"accepted": 3}
    assert len((await stage.relay.ask("taken"))["taken"]) == 3
    assert await stage.value("SELECT count(*) FROM attempt") == 9
    await stage.books_are_clean()


@pytest.mark.parametrize("says", ["550 5.7.515 access denied", "550 5.7.26 unauthenticated", "554 5.7.1 not from you"])
async def test_a_sender_that_is_refused_by_everybody_waits_until_its_time_is_over(make_stage, says):
    """The channel rests, the rows keep their tries, and nobody is suppressed."""
    stage = await make_stage(smtp_connections="1")
    await stage.prepared(8)
    await stage.relay.ask(at_rcpt={"*": says})
    for _ in range(3 * MOST_TRIES):
        await what_is_due(stage)
        await stage.context.pool.execute("UPDATE channel_rest SET until_real = clock_timestamp()")
    assert await stage.value("SELECT failures FROM channel_rest") > 1
    assert await stage.value("SELECT max(tries) FROM message") <= 2, "before the sender was suspected"
    assert set(await stage.states()) <= {"retry_wait", "prepared"}
    await stage.context.pool.execute("UPDATE message SET not_after = $1", await stage.now() - timedelta(seconds=1))
    await stop.sweep(stage.context, stage.shop_id, await stage.now())
    assert await stage.states() == {"expired": 8}
    assert await stage.value("SELECT count(*) FROM suppression") == 0
    assert (await stage.relay.ask("taken"))["taken"] == []
