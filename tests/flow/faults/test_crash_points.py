"""A worker is killed at each named point of a message's way: what is left is what the point promises, and no more."""

from __future__ import annotations

import random
import signal
from collections import Counter
from dataclasses import dataclass

import pytest

from daemon.faults import POINTS
from daemon.flow import stop
from tests.flow.faults.conftest import PROVIDERS

CONNECTIONS = 3
NEVER = (
    "UPDATE message SET not_before = '2100-01-01', not_after = '2101-01-01' WHERE state IN ('prepared', 'retry_wait')"
)
DUE = """UPDATE message SET not_before = $2
    WHERE id IN (SELECT id FROM message WHERE state = 'prepared' ORDER BY id LIMIT $1)"""
ALL_DUE = "UPDATE message SET not_before = $1, retry_real = NULL WHERE state IN ('prepared', 'retry_wait')"
WAITING = "SELECT count(*) FROM message WHERE state IN ('planned', 'prepared', 'retry_wait', 'sending')"
LIVE = pytest.param("live", {"pipelining": True}, id="live, envelope after envelope")
REHEARSAL = pytest.param("rehearsal", {}, id="rehearsal, word for word")
BETWEEN = ("after_claim_commit", "before_connect", "dot_written", "outcome_known", "recording")
"""Between the claim's commit and the record's: only here may a kill leave what nobody knows."""


@dataclass(frozen=True)
class Left:
    """What a kill left behind."""

    claimed: int
    """Rows that are still sending."""
    taken: int
    """Mails that the relay took from the one who was killed."""
    recorded: int
    """Of these, accepted by the books."""


def promised(point, due, left):
    """What must be left when so many were due; those whose outcome was recorded before are no longer claimed."""
    match point:
        case "before_claim_commit":
            return left.claimed + left.recorded <= due - 1
        case "after_claim_commit" | "before_connect":
            return left.claimed >= 1
        case "dot_written" | "outcome_known":
            return left.claimed >= 1 and left.taken >= 1 + left.recorded
        case "recording":
            return left.claimed + left.recorded >= 1 and left.taken >= 1
        case "recorded":
            return left.recorded >= 1
        case "reaping":
            return left.claimed == 0 and left.taken == 0


class Kills:
    """One after the other on one stage."""

    def __init__(self, stage):
        self.stage = stage
        self.unknown = 0
        """As many as were claimed by those who died, and no more."""

    async def at(self, point, due, nth):
        stage = self.stage
        before = await self.counted()
        await stage.context.pool.execute(NEVER)
        await stage.context.pool.execute(DUE, due, await stage.now())
        worker = await stage.worker(fault=f"{point}:kill:{nth}")

        async def gone():
            return not worker.lives() and not (await stage.relay.ask("under_way"))["under_way"].get(worker.name)

        await stage.until(gone)
        assert worker.fired(point)
        after = await self.counted()
        left = Left(after["sending"], after["taken"] - before["taken"], after["accepted"] - before["accepted"])
        assert promised(point, due, left), (point, due, nth, left)
        assert left.taken <= left.claimed + left.recorded, "what the relay has, the books know of"
        if due == 1 and point not in BETWEEN:
            assert left.claimed == 0, (point, left)
        self.unknown += left.claimed
        await stage.leases_end()
        await stage.bell_forgets()
        return left

    async def reaps(self):
        """The reaper of another process."""
        await stop.sweep(self.stage.context, self.stage.shop_id, await self.stage.now())
        assert (await self.counted())["unknown"] == self.unknown

    async def counted(self):
        taken = (await self.stage.relay.ask("taken"))["taken"]
        return Counter(await self.stage.states()) + Counter(taken=len(taken))

    async def once(self, point, due, nth):
        """With what it takes to get there: a reaper needs somebody who died before."""
        if point == "reaping":
            await self.at("after_claim_commit", due, 1)
        await self.at(point, due, nth)
        await self.reaps()


async def killed_at_every_point(stage, rounds):
    """`rounds` are (due, nth) for each point; then an honest worker brings the rest home."""
    total = 2 * len(POINTS) * sum(due for due, _ in rounds)
    await stage.prepared(total)
    kills = Kills(stage)
    for point in POINTS:
        for due, nth in rounds:
            await kills.once(point, due, 1 if point in ("recording", "recorded", "reaping") else nth)
    await stage.context.pool.execute(ALL_DUE, await stage.now())
    await stage.worker()

    async def all_done():
        return not await stage.value(WAITING)

    await stage.until(all_done, within=60)
    states = await stage.states()
    told = await stage.relay.ask("taken")
    copies = Counter(message_id for message_id, _, _ in told["taken"])
    assert {message for message, count in copies.items() if count > 1} == set()
    assert states == {"accepted": total - kills.unknown, "unknown": kills.unknown}
    assert len(copies) >= states["accepted"]
    print(f"{len(stage.born) - 1} kills: {states}, the relay took {len(copies)}, none twice")
    await stage.no_deadlocks()
    await stage.books_are_clean()


@pytest.mark.parametrize(("mode", "relay"), [LIVE])
@pytest.mark.parametrize("channel", PROVIDERS)
async def test_a_kill_at_any_point_sends_nothing_twice_and_loses_nothing(make_stage, channel, mode, relay):
    stage = await make_stage(mode, channel, smtp_connections=str(CONNECTIONS))
    await stage.relay.ask(delay=0.02, **relay)
    await killed_at_every_point(stage, [(1, 1), (2 * CONNECTIONS + 2, 2)])


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("mode", "relay"), [LIVE, REHEARSAL])
@pytest.mark.parametrize("channel", PROVIDERS)
async def test_twenty_five_kills_at_each_point(make_stage, channel, mode, relay):
    chance = random.Random(5)
    stage = await make_stage(mode, channel, smtp_connections=str(CONNECTIONS))
    await stage.relay.ask(delay=0.02, **relay)
    few = [(chance.randint(2, 2 * CONNECTIONS), 1) for _ in range(10)]
    many = [(chance.randint(2 * CONNECTIONS + 1, 12), 2) for _ in range(10)]
    await killed_at_every_point(stage, [(1, 1)] * 5 + few + many)


@pytest.mark.long
@pytest.mark.parametrize("point", BETWEEN)
async def test_whoever_stands_still_past_its_lease_sends_nothing_after_it(make_stage, point):
    due = 2 * CONNECTIONS
    stage = await make_stage(smtp_connections=str(CONNECTIONS))
    await stage.relay.ask(delay=0.02, pipelining=True)
    await stage.prepared(due)
    worker = await stage.worker(fault=f"{point}:freeze")

    async def frozen():
        return worker.log.exists() and worker.fired(point) and (await stage.states()).get("sending", 0) > 0

    await stage.until(frozen)
    await stage.leases_end()
    await stop.sweep(stage.context, stage.shop_id, await stage.now())
    worker.sends(signal.SIGCONT)

    async def all_told():
        return not await stage.value("SELECT count(*) FROM attempt WHERE outcome IS NULL OR outcome = 'unknown'")

    await stage.until(all_told)
    told = (await stage.relay.ask("taken"))["taken"]
    assert len({message for message, _, _ in told}) == len(told)
    assert bool(told) is (point not in ("after_claim_commit", "before_connect")), "what had not left stays where it is"
    assert await stage.states() == +Counter(accepted=len(told), unknown=due - len(told))
    await stage.books_are_clean()
