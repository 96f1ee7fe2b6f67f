"""What the log says was sent is what left, and not what was only claimed."""

from __future__ import annotations

import json

DUE = 6


def lines(worker, event):
    """What it said under this word."""
    told = [json.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{")]
    return [one for one in told if one["event"] == event]


async def test_the_log_counts_as_sent_what_left_and_beside_it_what_stayed(make_stage):
    """One connection and a slow relay: who waits for a first byte for more than a second stays in the house."""
    stage = await make_stage(smtp_connections="1")
    await stage.relay.ask(delay=1.5)
    await stage.prepared(DUE)
    worker = await stage.worker()

    async def one_stayed():
        return await stage.value("SELECT count(*) FROM attempt WHERE code = 'not_sent'") > 0

    await stage.until(one_stayed)
    await stage.relay.ask(delay=0.0)

    async def all_recorded():
        told = sum(one.get("accepted", 0) for one in lines(worker, "recorded"))
        return told >= DUE and await stage.states() == {"accepted": DUE}

    await stage.until(all_recorded)
    stayed = await stage.value("SELECT count(*) FROM attempt WHERE code = 'not_sent'")
    recorded = lines(worker, "recorded")
    assert sum(one["messages"] for one in lines(worker, "sent")) == DUE
    assert sum(one.get("not_sent", 0) for one in recorded) == stayed
    assert sum(one.get("accepted", 0) for one in recorded) == DUE
    assert all(one["not_sent"] > 0 for one in recorded if "not_sent" in one), "it is said only where something stayed"
    assert len((await stage.relay.ask("taken"))["taken"]) == DUE
    assert sum(one["messages"] for one in lines(worker, "claimed")) == DUE + stayed
