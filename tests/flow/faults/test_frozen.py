"""Workers that stand still past their lease, and workers that are asked to go."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter

import pytest

from daemon.clock import monotonic
from daemon.flow import deliver, stop
from daemon.settings import Settings

IN_FLIGHT = 20
DRAIN, SHORT, MARGIN = 25, 4, 20
"""Seconds: that it may take its time, usually and here once, and that a busy machine may need for the rest."""


async def made_due(stage, count):
    """So many of those that wait are due now."""
    await stage.context.pool.execute(
        "UPDATE message SET not_before = $2 "
        "WHERE id IN (SELECT id FROM message WHERE state = 'prepared' ORDER BY id LIMIT $1)",
        count,
        await stage.now(),
    )


async def test_a_frozen_worker_tells_late_and_nothing_is_sent_again(make_stage):
    """Frozen between the final dot and its answer, past the lease: the reaper says unknown, the late word wins."""
    rounds = 5
    stage = await make_stage(smtp_connections=str(IN_FLIGHT))
    await stage.prepared(IN_FLIGHT * rounds)
    await stage.context.pool.execute("UPDATE message SET not_before = '2100-01-01', not_after = '2101-01-01'")
    worker = await stage.worker()
    for number in range(1, rounds + 1):
        await stage.relay.ask(hold=True)
        await made_due(stage, IN_FLIGHT)

        async def all_held():
            return (await stage.relay.ask("held"))["held"] == IN_FLIGHT

        await stage.until(all_held)
        worker.sends(signal.SIGSTOP)
        await stage.leases_end()
        now = await stage.now()
        await stop.sweep(stage.context, stage.shop_id, now)
        assert (await stage.states())["unknown"] == IN_FLIGHT
        assert await deliver.claim(stage.context, stage.shop_id, "email", now, 64) == (0, [])
        await stage.relay.ask(hold=False)
        worker.sends(signal.SIGCONT)

        async def all_accepted(number=number):
            return (await stage.states()).get("accepted") == IN_FLIGHT * number

        await stage.until(all_accepted)
    copies = Counter(message_id for message_id, _, _ in (await stage.relay.ask("taken"))["taken"])
    assert len(copies) == IN_FLIGHT * rounds
    assert set(copies.values()) == {1}
    await stage.books_are_clean()


async def test_a_worker_that_is_asked_to_go_brings_home_what_is_under_way(make_stage):
    """Asked a second time it goes on doing so."""
    assert Settings().drain.total_seconds() == DRAIN
    stage = await make_stage(smtp_connections=str(IN_FLIGHT))
    await stage.prepared(100)
    await stage.relay.ask(hold=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "daemon",
        "run",
        "--only",
        "worker",
        env={**os.environ, **stage.env},
        start_new_session=True,
    )
    try:

        async def twenty_under_way():
            return (await stage.relay.ask("held"))["held"] == IN_FLIGHT

        await stage.until(twenty_under_way)
        process.send_signal(signal.SIGTERM)
        asked = monotonic()

        async def only_these_are_claimed():
            return (await stage.states())["sending"] == IN_FLIGHT

        await stage.until(only_these_are_claimed)
        process.send_signal(signal.SIGTERM)
        await stage.relay.ask(hold=False)
        async with asyncio.timeout(60):
            assert await process.wait() == 0
        took = monotonic() - asked
        print(f"gone {took:.1f} s after it was asked to")
        assert took <= DRAIN + MARGIN
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    taken = [address for _, address, _ in (await stage.relay.ask("taken"))["taken"]]
    states = await stage.states()
    assert set(states) <= {"accepted", "prepared", "retry_wait"}
    assert states["accepted"] == len(taken) == len(set(taken)) >= IN_FLIGHT
    assert await stage.value("SELECT count(*) FROM attempt WHERE outcome IS NULL") == 0
    assert await stage.value("SELECT count(*) FROM message WHERE state = 'retry_wait' AND tries > 0") == 0
    assert await stage.value("SELECT count(*) FROM work WHERE holder IS NOT NULL") == 0
    await stage.books_are_clean()


@pytest.mark.parametrize("ending", ["its time to drain is over", "it is killed while it drains"])
async def test_a_worker_that_cannot_bring_home_everything_leaves_only_the_open_calls_unknown(make_stage, ending):
    """Asked to go with twenty mails at a relay that does not answer."""
    drain = f"{SHORT}s" if ending == "its time to drain is over" else f"{DRAIN}s"
    stage = await make_stage(smtp_connections=str(IN_FLIGHT), drain=drain)
    await stage.prepared(100)
    await stage.relay.ask(hold=True)
    worker = await stage.worker()

    async def all_held():
        return (await stage.relay.ask("held"))["held"] == IN_FLIGHT

    await stage.until(all_held)
    worker.sends(signal.SIGTERM)
    asked = monotonic()

    async def only_these_are_claimed():
        return (await stage.states())["sending"] == IN_FLIGHT

    await stage.until(only_these_are_claimed)
    if drain != f"{SHORT}s":
        worker.sends(signal.SIGKILL)

    async def gone():
        return not worker.lives()

    await stage.until(gone)
    if drain == f"{SHORT}s":
        assert monotonic() - asked <= SHORT + MARGIN < DRAIN
        assert worker.left_with(0)
    await stage.leases_end()
    await stop.sweep(stage.context, stage.shop_id, await stage.now())
    states = await stage.states()
    assert (states.pop("unknown"), sum(states.values())) == (20, 80)
    assert set(states) <= {"prepared", "retry_wait"}
    assert await stage.value("SELECT count(*) FROM message WHERE state = 'retry_wait' AND tries > 0") == 0
    await stage.relay.ask(hold=False)
    await stage.bell_forgets()
    await stage.worker()

    async def all_home():
        return (await stage.states()) == {"unknown": 20, "accepted": 80}

    await stage.until(all_home)
    copies = Counter(message_id for message_id, _, _ in (await stage.relay.ask("taken"))["taken"])
    assert (len(copies), set(copies.values())) == (100, {1}), "those of the killed one were taken, and once"
    await stage.books_are_clean()
