"""A worker is killed at each named point of a message's way: what is left is what the point promises, and no more."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass

import pytest

from daemon.faults import POINTS
from daemon.flow import audiences, reconcile, stop
from tests.flow.faults.reach import REACH

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
ON_THE_WIRE = ("before_connect", "dot_written")
OTHERS = [name for name in REACH if name != "email"]
NOT_YET = "UPDATE message SET looked_up_real = 'infinity' WHERE state = 'unknown'"
"""Nobody is asked about what is unknown while workers die."""
ASKABLE = "UPDATE message SET looked_up_real = NULL WHERE state = 'unknown'"
LONG_AGO = "UPDATE attempt SET closed_real = closed_real - interval '1 hour' WHERE outcome = 'unknown'"


def points_of(channel):
    """Those that a message passes: nothing of an in-house channel's goes over a wire."""
    return [point for point in POINTS if REACH[channel].program or point not in ON_THE_WIRE]


def passes_again(channel, point, due):
    """Whether the point is passed a second time for certain: by the next message, or by the next claim."""
    if point in ("before_claim_commit", "after_claim_commit"):
        return channel in ("email", "sms") and due > 2 * CONNECTIONS
    return point not in ("recording", "recorded", "reaping")


@dataclass(frozen=True)
class Left:
    """What a kill left behind."""

    claimed: int
    """Rows that are still sending."""
    taken: int
    """What the provider took from the one who was killed."""
    recorded: int
    """Of these, accepted by the books."""


def promised(point, due, left, *, in_house, hangs_on):
    """What must be left when so many were due; those whose outcome was recorded before are no longer claimed. An HTTP
    server may drop what it was told by a client that is gone (`hangs_on`): then nothing need have been taken."""
    taken = left.claimed + left.recorded if in_house else left.taken  # an in-house claim is all there is to take
    match point:
        case "before_claim_commit":
            return left.claimed + left.recorded <= due - 1
        case "after_claim_commit" | "before_connect":
            return left.claimed >= 1
        case "dot_written" if hangs_on:
            return left.claimed >= 1
        case "dot_written" | "outcome_known":
            return left.claimed >= 1 and taken >= 1 + left.recorded
        case "recording":
            return left.claimed + left.recorded >= 1 and taken >= 1
        case "recorded":
            return left.recorded >= 1
        case "reaping":
            return left.claimed == 0 and taken == 0


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
        await stage.context.pool.execute(NOT_YET)
        await stage.context.pool.execute(DUE, due, await stage.now())
        worker = await stage.worker(fault=f"{point}:kill:{nth}")
        await stage.until(lambda: is_gone(stage, worker))
        await stage.sessions_end()
        assert worker.fired(point)
        after = await self.counted()
        left = Left(after["sending"], after["taken"] - before["taken"], after["accepted"] - before["accepted"])
        in_house = not REACH[stage.channel].program
        hangs_on = stage.channel in ("sms", "webpush")
        assert promised(point, due, left, in_house=in_house, hangs_on=hangs_on), (point, due, nth, left)
        assert left.taken <= left.claimed + left.recorded, "what the provider has, the books know of"
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
        """An in-house message that made a member has arrived, which is more than accepted."""
        taken = (await self.stage.relay.ask("taken"))["taken"]
        states = Counter(await self.stage.states())
        states["accepted"] += states.pop("delivered", 0)
        return states + Counter(taken=len(taken))

    async def once(self, point, due, nth):
        """With what it takes to get there: a reaper needs somebody who died before, and nothing to send beside it."""
        if point == "reaping":
            await self.at("after_claim_commit", due, 1)
        await self.at(point, 0 if point == "reaping" else due, nth)
        await self.reaps()


async def is_gone(stage, worker):
    """The worker, and whatever it said: a provider that was asked twice has read what came before the first time."""
    if worker.lives():
        return False
    for _ in range(2):
        if any((await stage.relay.ask("under_way"))["under_way"].values()):
            return False
    return True


async def killed_at_every_point(stage, points, rounds):
    """`rounds` are (due, nth) for each point; how many were claimed by those who died."""
    await stage.prepared(2 * len(points) * sum(due for due, _ in rounds))
    kills = Kills(stage)
    for point in points:
        for due, nth in rounds:
            await kills.once(point, due, nth if passes_again(stage.channel, point, due) else 1)
    return kills.unknown


async def the_rest_goes_out(stage):
    """By an honest worker; how often the provider took each message."""
    await stage.context.pool.execute(ALL_DUE, await stage.now())
    await stage.worker()

    async def all_done():
        return not await stage.value(WAITING)

    await stage.until(all_done, within=60)
    await stage.no_deadlocks()
    await stage.books_are_clean()
    return Counter(known_as for known_as, _, _ in (await stage.relay.ask("taken"))["taken"])


@pytest.mark.parametrize(("mode", "relay"), [LIVE])
async def test_a_kill_at_any_point_sends_no_mail_twice_and_loses_none(make_stage, mode, relay):
    await no_mail_twice(make_stage, mode, relay, [(1, 1), (2 * CONNECTIONS + 2, 2)])


@pytest.mark.long(300)
@pytest.mark.timeout(2400)
@pytest.mark.parametrize(("mode", "relay"), [LIVE, REHEARSAL])
async def test_twenty_five_kills_at_each_point_of_a_mail(make_stage, mode, relay):
    """All of them live; the rehearsal, which talks to the relay word for word, passes each point five times."""
    few = [(due, 1) for due in (2, 4, 6, 3, 5)] * 2
    many = [(due, 2) for due in (7, 12, 8, 11, 9)] * 2
    rounds = [(1, 1)] * 5 + few + many if mode == "live" else [(1, 1), (4, 1), (6, 1), (8, 2), (12, 2)]
    await no_mail_twice(make_stage, mode, relay, rounds)


async def no_mail_twice(make_stage, mode, relay, rounds):
    """What nobody knows of stays so: a relay cannot be asked."""
    stage = await make_stage(mode, smtp_connections=str(CONNECTIONS))
    await stage.relay.ask(delay=0.02, **relay)
    unknown = await killed_at_every_point(stage, points_of("email"), rounds)
    copies = await the_rest_goes_out(stage)
    states = await stage.states()
    print(f"{len(stage.born) - 1} kills: {states}, the relay took {len(copies)}, none twice")
    assert {message for message, count in copies.items() if count > 1} == set()
    total = 2 * len(points_of("email")) * sum(due for due, _ in rounds)
    assert states == {"accepted": total - unknown, "unknown": unknown}
    assert len(copies) >= states["accepted"]


@pytest.mark.parametrize(
    ("channel", "points"),
    [("sms", ["dot_written", "recording"]), ("webpush", ["dot_written"]), ("audience", ["recording"])],
)
async def test_a_kill_on_any_channel_is_settled_and_nothing_is_lost(make_stage, channel, points):
    await settled(make_stage, channel, points, [(2, 1)])


@pytest.mark.long(300)
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("channel", OTHERS)
async def test_twenty_five_kills_at_each_point_of_other_channels(make_stage, channel):
    """On-site five: both in-house channels are one code."""
    rounds = [(1, 1)] * 10 + [(2, 1), (3, 1), (4, 1), (5, 1), (6, 1)] + [(4, 2), (7, 2)] * 5
    rounds = rounds if channel != "onsite" else [(1, 1), (3, 1), (6, 1), (4, 2), (7, 2)]
    await settled(make_stage, channel, points_of(channel), rounds)


async def settled(make_stage, channel, points, rounds):
    """What nobody knows of is asked about: at Twilio, which has a list; of one's own rows; and a push, which replaces
    itself where it was shown, goes once more to the same browser. In the end each message has arrived."""
    stage = await make_stage(channel=channel)
    await stage.relay.ask(delay=0.02)
    unknown = await killed_at_every_point(stage, points, rounds)
    total = 2 * len(points) * sum(due for due, _ in rounds)
    before = Counter(known_as for known_as, _, _ in (await stage.relay.ask("taken"))["taken"])
    assert set(before.values()) <= {1}
    await stage.context.pool.execute(LONG_AGO)
    for _ in reconcile.AFTER:
        await stage.context.pool.execute(ASKABLE)
        while await reconcile.look_up(stage.context, stage.shop_id, await stage.now()):
            pass
    copies = await the_rest_goes_out(stage)
    states = await stage.states()
    print(f"{len(stage.born) - 1} kills, {unknown} unknown: {states}, {copies.total()} taken of {len(copies)}")
    assert set(states) <= {"accepted", "delivered"}
    assert sum(states.values()) == total
    if REACH[channel].program:
        assert len(copies) == total
    await HOLDS[channel](stage, total, unknown, copies)


async def each_text_once(stage, total, unknown, copies):
    assert set(copies.values()) == {1}


async def each_push_shown_once(stage, total, unknown, copies):
    """A second time only what nobody knew of, and to the browser that had it."""
    told = await stage.relay.ask("taken", "shown")
    assert set(copies.values()) <= {1, 2}
    assert copies.total() - len(copies) <= unknown
    assert len({(topic, endpoint) for topic, endpoint, _ in told["taken"]}) == len(copies)
    assert told["shown"] == [1] * total


async def each_row_once(stage, total, unknown, copies):
    assert await stage.value("SELECT count(*) FROM attempt WHERE outcome = 'accepted'") == total
    assert await stage.value("SELECT count(DISTINCT message_id) FROM attempt WHERE outcome = 'accepted'") == total


async def each_member_once(stage, total, unknown, copies):
    await each_row_once(stage, total, unknown, copies)
    words = stage.context.keeper.book.shops["main"]
    await audiences.settle_wishes(stage.context.pool, stage.shop_id, words, await stage.now())
    assert await stage.value("SELECT count(*) FROM member WHERE wanted") == total
    assert await stage.value("SELECT count(DISTINCT message_id) FROM member") == total


HOLDS = {"sms": each_text_once, "webpush": each_push_shown_once, "onsite": each_row_once, "audience": each_member_once}


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
